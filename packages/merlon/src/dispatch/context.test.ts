import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { logLevels } from '../call.ts'
import { type CallContext, defineTool } from '../catalog/define.ts'
import { type Asked, serverWith } from './server.fixture.ts'

const run = async (work: (ctx: CallContext) => unknown, asked: Asked = {}, mode: 'auto' | 'json' = 'auto') => {
  const tool = defineTool({
    name: 't',
    description: 'Does.',
    input: { type: 'object' },
    run: (_input, ctx) => work(ctx),
  })
  const server = serverWith([tool], { responseMode: mode })
  return { server, reply: await server.send('tools/call', { name: 't' }, asked) }
}
const notes = (reply: { messages: readonly Record<string, unknown>[] }, method: string) =>
  reply.messages
    .filter((message) => message['method'] === method)
    .map((message) => message['params'] as Record<string, unknown>)

test('AL-09: a tool is given the trace of its call, to pass on', async () => {
  const trace = { traceId: 'a'.repeat(32), traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'x=1' }
  let seen: unknown = 'nothing'
  await run(
    (ctx) => {
      seen = ctx.trace
    },
    { trace },
  )
  expect(seen).toEqual(trace)
  await run((ctx) => {
    seen = ctx.trace
  })
  expect(seen).toBeUndefined()
})

describe('progress', () => {
  test('only grows, whatever the handler reports', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(fc.double(), fc.integer({ min: 0, max: 9 }))), async (values) => {
        const { reply } = await run(
          (ctx) => {
            for (const value of values) ctx.progress(value)
          },
          { progressToken: 'p' },
        )
        const seen = notes(reply, 'notifications/progress').map(({ progress }) => progress as number)
        const expected: number[] = []
        for (const value of values)
          if (Number.isFinite(value) && value > (expected.at(-1) ?? Number.NEGATIVE_INFINITY))
            expected.push(value === 0 ? 0 : value)
        expect(seen).toEqual(expected)
      }),
      { numRuns: 50 },
    )
  })

  test('carries the client’s token, and a total and a message where there are any', async () => {
    const { reply } = await run(
      (ctx) => {
        ctx.progress(1)
        ctx.progress(2, 5, 'half')
        ctx.progress(3, Number.POSITIVE_INFINITY)
      },
      { progressToken: 0 },
    )
    expect(notes(reply, 'notifications/progress')).toEqual([
      { progressToken: 0, progress: 1 },
      { progressToken: 0, progress: 2, total: 5, message: 'half' },
      { progressToken: 0, progress: 3 },
    ])
    expect(reply.sent.at(-1)).toMatch(/^answer 200 /)
  })

  test('is not sent where it was not asked for, nor where the answer has no room, nor after the answer', async () => {
    expect((await run((ctx) => ctx.progress(1))).reply.streaming).toBe(false)
    expect((await run((ctx) => ctx.progress(1), { progressToken: 'p' }, 'json')).reply.sent).toHaveLength(1)
    let late: CallContext | undefined
    const { reply } = await run(
      (ctx) => {
        late = ctx
      },
      { progressToken: 'p', logLevel: 'debug' },
    )
    late?.progress(1)
    late?.log('error', 'late')
    late?.releaseStream()
    expect(reply.sent).toHaveLength(1)
  })
})

const everyLevel = (ctx: CallContext) => {
  for (const level of logLevels) ctx.log(level, { level }, 'l')
}

describe('log', () => {
  test('sends what is at least as severe as the client asked for', async () => {
    for (const least of ['debug', 'info', 'error'] as const) {
      const { reply } = await run(everyLevel, { logLevel: least })
      expect(notes(reply, 'notifications/message')).toEqual(
        logLevels.slice(logLevels.indexOf(least)).map((level) => ({ level, data: { level }, logger: 'l' })),
      )
    }
  })

  test('sends nothing where the client did not ask, and nothing of a level that does not exist', async () => {
    expect((await run(everyLevel)).reply.streaming).toBe(false)
    const { reply } = await run((ctx) => ctx.log('loud' as never, 'x'), { logLevel: 'debug' })
    expect(reply.streaming).toBe(false)
  })
})

test('a handler sees who calls, without what the credential is bound to', async () => {
  const { reply } = await run((ctx) => ({ ...ctx.principal, request: ctx.requestId, client: ctx.client.name }))
  const result = reply.messages[0]!['result'] as { content: { text: string }[] }
  expect(JSON.parse(result.content[0]!.text)).toEqual({
    id: 'alice',
    kind: 'user',
    tenant: 't1',
    role: 'user',
    scopes: ['read', 'write'],
    request: 'r1',
    client: 'c',
  })
})
