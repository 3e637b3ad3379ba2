import * as z from 'zod'
import { ms } from '../values.ts'

const count = z.enum(['all', 'successes', 'failures']).default('all')

export const rateLimit = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether calls are counted.'),
    windowMs: ms(1_000).default(60_000).describe('Length of one window.'),
    callsMax: z.int().min(1).default(600).describe('Calls one credential may make in a window.'),
    count: count.describe('Which of them count: all, or those that end well or badly.'),
    failuresMax: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(10)
      .describe('Failed authentications of one address in a minute; beyond it the wait between them doubles.'),
    localShare: z
      .number()
      .min(0.01)
      .max(1)
      .default(0.25)
      .describe('What part of a limit one process admits alone while a shared store is out of reach.'),
    rules: z
      .array(
        z.strictObject({
          name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'a short name such as write or reports'),
          per: z
            .array(
              z.enum([
                'address',
                'tenant',
                'principal',
                'key',
                'agent',
                'scope',
                'endpoint',
                'tool',
                'session',
                'everyone',
              ]),
            )
            .min(1),
          scopes: z.array(z.string()).min(1).optional(),
          tools: z.array(z.string()).min(1).optional(),
          endpoints: z
            .array(z.enum(['mcp', 'control']))
            .min(1)
            .optional(),
          methods: z.array(z.string()).min(1).optional(),
          callsMax: z.int().min(1),
          windowMs: ms(1_000).default(60_000),
          burst: z.int().min(1).optional(),
          cost: z.int().min(1).max(1_000_000).optional(),
          count,
          onStoreFailure: z.enum(['deny', 'limit-locally']).default('deny'),
        }),
      )
      .default([
        {
          name: 'read',
          per: ['principal'],
          scopes: ['read'],
          callsMax: 100,
          windowMs: 60_000,
          count: 'all',
          onStoreFailure: 'limit-locally',
        },
        {
          name: 'write',
          per: ['principal'],
          scopes: ['write'],
          callsMax: 50,
          windowMs: 60_000,
          count: 'all',
          onStoreFailure: 'deny',
        },
        {
          name: 'admin',
          per: ['principal'],
          scopes: ['admin'],
          callsMax: 200,
          windowMs: 60_000,
          count: 'all',
          onStoreFailure: 'deny',
        },
      ])
      .describe('Further limits; see the guide. All that apply to a call are held together.'),
  })
  .prefault({})
