import * as z from 'zod'
import { ms, scope } from '../values.ts'

const callsMax = z.int().min(1).max(1_000_000_000)
const count = z.enum(['all', 'successes', 'failures'])

const rule = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/, 'a short name such as write or reports')
    .describe('What headers, records and metrics call it.'),
  per: z
    .array(
      z.enum(['address', 'tenant', 'principal', 'key', 'agent', 'scope', 'endpoint', 'tool', 'session', 'everyone']),
    )
    .min(1)
    .describe('What is counted apart. A call that lacks one of them, as a list has no tool, is not held to the rule.'),
  scopes: z
    .array(scope)
    .min(1)
    .optional()
    .describe('Only calls that ask for one of these. What asks for none counts as read, an own scope as write.'),
  tools: z.array(z.string().min(1).max(128)).min(1).optional().describe('Only calls of these tools.'),
  endpoints: z
    .array(z.enum(['mcp', 'control']))
    .min(1)
    .optional()
    .describe('Only what comes in here.'),
  methods: z
    .array(z.string().min(1).max(128))
    .min(1)
    .optional()
    .describe('Only these methods: tools/call, or a verb of HTTP such as GET for a stream.'),
  callsMax: callsMax.describe('Calls in a window.'),
  windowMs: ms(1_000).default(60_000).describe('Length of one window.'),
  burst: callsMax.optional().describe('Calls at once from rest. Default: callsMax.'),
  cost: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe('What one call counts as. Default: what its tool says, or 1.'),
  count: count.default('all').describe('Which calls count.'),
  onStoreFailure: z
    .enum(['deny', 'limit-locally'])
    .default('deny')
    .describe('What to do while Redis is out of reach: refuse, or admit localShare of it.'),
})

export const rateLimit = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether calls are counted. Failed authentications always are.'),
    windowMs: ms(1_000).default(60_000).describe('Length of one window.'),
    callsMax: callsMax.default(600).describe('Calls one credential may make in a window.'),
    count: count
      .default('all')
      .describe('Which of them count: all, or those alone that end well, or that are refused or fail.'),
    failuresMax: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(10)
      .describe('Failed authentications of one address in a minute. Beyond it the wait between them doubles.'),
    headers: z
      .array(z.enum(['standard', 'legacy', 'x']))
      .default(['standard'])
      .describe(
        'How answers tell what is left: standard is RateLimit and RateLimit-Policy, legacy RateLimit-Remaining and the like, x X-RateLimit-Remaining and the like.',
      ),
    localShare: z
      .number()
      .min(0.01)
      .max(1)
      .default(0.25)
      .describe('What part of a limit one process admits alone while Redis is out of reach.'),
    rules: z
      .array(rule)
      .max(50)
      .default(
        [
          { name: 'read', callsMax: 100, onStoreFailure: 'limit-locally' as const },
          { name: 'write', callsMax: 50, onStoreFailure: 'deny' as const },
          { name: 'admin', callsMax: 200, onStoreFailure: 'deny' as const },
        ].map((each) => ({
          ...each,
          per: ['principal' as const],
          scopes: [each.name],
          windowMs: 60_000,
          count: 'all' as const,
        })),
      )
      .describe(
        'Further limits. A call is held to all that apply to it, in one act. A list of your own replaces these.',
      ),
  })
  .prefault({})
