import * as z from 'zod'
import { type ErrorCode, errors } from '../errors.ts'
import type { Operation } from './operation.ts'

type Json = Readonly<Record<string, unknown>>

/** The OpenAPI 3.1 document of the control plane, made from the table of operations. */
export function openApiDocument(operations: readonly Operation[]): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const operation of operations) {
    paths[operation.path] ??= {}
    paths[operation.path]![operation.method.toLowerCase()] = described(operation)
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Merlon control plane',
      version: '1',
      description:
        'Users, tenants, agents, API keys, sign-ins, blocked subjects, sessions, the audit log and alerts of a Merlon server. It takes control keys and access tokens for the control plane, and nothing that opens MCP.',
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }, { apiKey: [] }],
    tags: [...new Set(operations.map(tagOf))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'An access token, or a control key.' },
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'A control key.' },
      },
      schemas: { Problem: schemaOf(problem, 'output') },
    },
  }
}

const problem = z.strictObject({
  type: z.string().describe('A name for this kind of refusal.'),
  title: z.string(),
  status: z.int(),
  code: z.string().describe('What a program switches on.'),
  detail: z.string().optional(),
  errors: z
    .array(z.strictObject({ path: z.string(), says: z.string(), expected: z.string().optional() }))
    .optional()
    .describe('Everything that is wrong with the request, at once.'),
  requestId: z.string().optional().describe('For a failure of ours: to be given to the operator.'),
})

export function tagOf({ name }: Operation): string {
  return name.slice(0, name.indexOf('.'))
}

function described(operation: Operation): Json {
  const { name, summary, access, reach, params, query, body } = operation
  return {
    operationId: name,
    tags: [tagOf(operation)],
    summary,
    description: `It takes ${accessText(operation)}.${operation.confirmed === undefined ? '' : confirmedText}`,
    ...(access === 'open' ? { security: [] } : {}),
    ...(typeof access === 'object' ? { 'x-scope': access.scope } : {}),
    ...(reach === 'installation' ? { 'x-reach': reach } : {}),
    parameters: [
      ...parametersOf('path', params),
      ...parametersOf('query', query),
      ...(operation.versioned ? [ifMatch] : []),
      ...(operation.creates ? [idempotencyKey] : []),
    ],
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !body.safeParse(undefined).success,
            content: { 'application/json': { schema: schemaOf(body, 'input') } },
          },
        }),
    responses: responsesOf(operation),
  }
}

const confirmedText =
  ' A sign-in of a user with a second factor must have been confirmed with it in the last ten minutes (`auth.confirm`).'

/** What it takes, in words. */
export function accessText({ access, reach }: Pick<Operation, 'access' | 'reach'>): string {
  if (access === 'open') return 'no credential'
  const what = access === 'authenticated' ? 'any credential of the control plane' : `the scope ${access.scope}`
  return reach === 'installation' ? `${what}, and an operator of the installation` : what
}

const ifMatch = {
  name: 'If-Match',
  in: 'header',
  required: true,
  description: 'The ETag that was seen: the change is refused where it is no longer so.',
  schema: { type: 'string', pattern: '^"[0-9]{1,15}"$' },
}
const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'Names this attempt: sent again within ten minutes it makes nothing again, and answers the same.',
  schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,128}$' },
}

function parametersOf(where: 'path' | 'query', schema: z.ZodType): readonly Json[] {
  if (!(schema instanceof z.ZodObject)) throw new Error(`${where} parameters are not an object`)
  return Object.entries(schema.shape as Record<string, z.ZodType>).map(([name, field]) => {
    const { description, ...rest } = schemaOf(field, 'output')
    return {
      name,
      in: where,
      required: where === 'path' || !field.safeParse(undefined).success,
      ...(description === undefined ? {} : { description }),
      schema: rest,
    }
  })
}

function responsesOf(operation: Operation): Json {
  const { status, answer, media } = operation
  const responses: Record<string, Json> = { [status]: { description: 'Done.', ...contentOf(answer, media, operation) } }
  const refusals = Map.groupBy(refusalsOf(operation), (code) => errors[code].http)
  for (const [http, codes] of [...refusals].sort(([left], [right]) => left - right)) {
    responses[http] = {
      description: [...codes].map((code) => errors[code].says).join(' '),
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    }
  }
  return responses
}

function contentOf(answer: z.ZodType | undefined, media: string | undefined, operation: Operation): Json {
  if (media !== undefined) return { content: { [media.split(';')[0]!]: { schema: { type: 'string' } } } }
  if (answer === undefined) return {}
  const schema = schemaOf(answer, 'output')
  const versioned = operation.method !== 'DELETE' && 'version' in ((schema['properties'] as Json | undefined) ?? {})
  return {
    ...(versioned ? { headers: { ETag: { description: 'The version.', schema: { type: 'string' } } } } : {}),
    content: { 'application/json': { schema } },
  }
}

function refusalsOf(operation: Operation): ReadonlySet<ErrorCode> {
  const { access, body, versioned, creates, refuses, reach } = operation
  const known: ErrorCode[] = ['fields.invalid', 'rate.exceeded', 'capacity.exceeded', 'store.unavailable', 'internal']
  if (access !== 'open') known.push('credential.missing', 'credential.invalid', 'scope.missing')
  if (reach === 'installation') known.push('change.forbidden')
  if (operation.confirmed !== undefined) known.push('confirmation.required')
  if (body !== undefined) known.push('body.malformed', 'body.too-large', 'media-type.refused')
  if (versioned) known.push('version.missing', 'version.stale')
  if (creates) known.push('attempt.reused')
  return new Set([...known, ...refuses])
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io,
    override({ jsonSchema }) {
      // The format says it, in fewer characters than the pattern of a date.
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern
    },
  }) as Record<string, unknown>
  return rest
}
