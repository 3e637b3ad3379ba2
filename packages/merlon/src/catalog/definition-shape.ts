import * as z from 'zod'
import { scopePattern } from '../policy/scopes.ts'

/**
 * What a definition holds, checked when it is loaded: the types of a project are not checked when it runs, and a
 * misspelt `scope` must not open a tool.
 */

const schema = z.custom((value) => (typeof value === 'object' && value !== null) || typeof value === 'function', {
  error: 'must be a schema',
})
const handler = z.custom((value) => typeof value === 'function', { error: 'must be a function' })
const json = z.record(z.string(), z.unknown())
const mimeType = z.string().min(1).max(255)
const ms = z.int().min(0).max(2_147_483_647)

/** Words that programs of clients may take for something else when they use a name as a key. */
const reserved: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

const name = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,128}$/, 'must be 1 to 128 of A-Z a-z 0-9 _ - . (what people read goes in title)')
  .refine((text) => !reserved.has(text) && !text.startsWith('merlon.'), 'is reserved')

const described = {
  name,
  title: z.string().min(1).optional(),
  description: z.string().min(1).optional(),
  icons: z
    .array(
      z.strictObject({
        src: z.string().regex(/^(?:https:|data:)/, 'must be an https: or data: URI'),
        mimeType: mimeType.optional(),
        sizes: z.array(z.string()).optional(),
        theme: z.enum(['light', 'dark']).optional(),
      }),
    )
    .optional(),
  _meta: json.optional(),
  scope: z.string().regex(scopePattern, 'must be a scope such as read or files:write').optional(),
}

const annotations = z
  .strictObject({
    audience: z.array(z.enum(['user', 'assistant'])).optional(),
    priority: z.number().min(0).max(1).optional(),
    lastModified: z.string().optional(),
  })
  .optional()

const readable = { ...described, mimeType: mimeType.optional(), annotations, ttlMs: ms.optional(), read: handler }

export const definitionShapes = {
  tool: z.strictObject({
    ...described,
    description: z.string('is missing: clients choose a tool by it').min(1, 'is missing: clients choose a tool by it'),
    input: schema,
    output: schema.optional(),
    annotations: z
      .strictObject({
        title: z.string().optional(),
        readOnlyHint: z.boolean().optional(),
        destructiveHint: z.boolean().optional(),
        idempotentHint: z.boolean().optional(),
        openWorldHint: z.boolean().optional(),
      })
      .optional(),
    timeoutMs: ms.min(1).optional(),
    cost: z.int().min(1).max(1_000_000).optional(),
    concurrency: z.int().min(1).optional(),
    run: handler,
  }),
  resource: z.strictObject({
    ...readable,
    uri: z
      .string()
      .max(2_048)
      .regex(/^[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]*$/, 'must be a URI such as config://app'),
    size: z.int().min(0).optional(),
  }),
  template: z.strictObject({
    ...readable,
    uriTemplate: z.string(),
    list: handler.optional(),
    complete: z.record(z.string(), handler).optional(),
  }),
  prompt: z.strictObject({
    ...described,
    arguments: z
      .array(
        z.strictObject({
          name: z.string().min(1).max(128),
          title: z.string().min(1).optional(),
          description: z.string().min(1).optional(),
          required: z.boolean().optional(),
          complete: handler.optional(),
        }),
      )
      .optional(),
    get: handler,
  }),
} as const
