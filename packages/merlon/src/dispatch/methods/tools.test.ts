import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { structured, text } from '../../catalog/content.ts'
import { type CallContext, defineTool, ToolError } from '../../catalog/define.ts'
import { Fault } from '../../errors.ts'
import { serverWith } from '../server.fixture.ts'

const toolThat = (run: (input: Record<string, unknown>, ctx: CallContext) => unknown, more: object = {}) =>
  defineTool({ name: 't', description: 'Does.', input: { type: 'object' }, run, ...more })
const call = async (tool: object, session = false) => {
  const server = serverWith([tool])
  const reply = await server.send('tools/call', { name: 't' }, session ? { session: server.openSession() } : {})
  return {
    reply,
    server,
    message: reply.messages[0] as { result?: Record<string, unknown>; error?: Record<string, unknown> },
  }
}
const broken = (): never => {
  throw new Error('password=canary')
}

describe.each([
  ['2026-07-28', false],
  ['2025-11-25', true],
])('tools/call in %s', (_, session) => {
  test.each<[string, () => unknown]>([
    ['at once', () => 'done'],
    ['later', async () => 'done'],
  ])('answers with what the tool returns %s', async (_when, run) => {
    const { message, server } = await call(toolThat(run), session)
    expect(message.result).toMatchObject({ content: [{ type: 'text', text: 'done' }] })
    expect(server.records).toEqual([{ method: 'tools/call', code: undefined, outcome: 'completed' }])
  })

  test.each<[string, () => unknown]>([
    ['throws', broken],
    ['rejects', async () => broken()],
    ['returns what JSON cannot say', () => 10n],
    ['resolves to what JSON cannot say', async () => 10n],
    ['returns an object that does not let itself be read', () => ({ toJSON: broken })],
  ])(
    'a tool that %s has failed: the caller gets a result with the request id, the log the cause',
    async (_how, run) => {
      const { message, reply, server } = await call(toolThat(run), session)
      expect(message.result).toMatchObject({ isError: true, content: [{ text: 'The tool failed. Request id: r1' }] })
      expect(reply.sent.join()).not.toContain('canary')
      expect(server.logged).toEqual(['a tool failed'])
    },
  )

  test.each<[string, () => unknown]>([
    [
      'at once',
      () => {
        throw new ToolError('no such note')
      },
    ],
    [
      'later',
      async () => {
        throw new ToolError('no such note')
      },
    ],
  ])('what a tool says of its failure %s is told, and not logged as a failure of ours', async (_when, run) => {
    const { message, server } = await call(toolThat(run), session)
    expect(message.result).toMatchObject({ isError: true, content: [{ text: 'no such note' }] })
    expect(server.logged).toEqual([])
  })

  test('a Fault in a tool is an error of the protocol', async () => {
    for (const run of [
      () => {
        throw new Fault('store.unavailable', { cause: 'canary' })
      },
      async () => {
        throw new Fault('store.unavailable', { cause: 'canary' })
      },
    ]) {
      const { message, reply } = await call(toolThat(run), session)
      expect(message.error).toEqual({
        code: 50303,
        message: 'The server cannot check this request now.',
        data: { code: 'STORE_UNAVAILABLE' },
      })
      expect(reply.sent.join()).not.toContain('canary')
    }
  })

  test.each<[string, z.ZodType]>([
    ['at once', z.object({ a: z.number() })],
    ['later', z.object({ a: z.number() }).refine(async () => true)],
  ])('a result that is declared is checked %s, and only what the schema knows is sent', async (_when, output) => {
    const good = await call(
      toolThat(() => ({ a: 1, secret: 'canary' }), { output }),
      session,
    )
    expect(good.message.result).toMatchObject({ structuredContent: { a: 1 }, content: [{ text: '{"a":1}' }] })
    const bad = await call(
      toolThat(async () => ({ a: 'canary' }), { output }),
      session,
    )
    expect(bad.message.result).toMatchObject({ isError: true })
    for (const { reply } of [good, bad]) expect(reply.sent.join()).not.toContain('canary')
  })

  test('structure that was built with blocks of its own is checked and trimmed like any other', async () => {
    const output = z.object({ a: z.number() })
    const { message, reply } = await call(
      toolThat(() => structured({ a: 1, secret: 'canary' }, text('one')), { output }),
      session,
    )
    expect(message.result).toMatchObject({ structuredContent: { a: 1 }, content: [{ text: 'one' }] })
    expect(reply.sent.join()).not.toContain('canary')
  })

  test('an output check that breaks is a failure of the tool', async () => {
    const jsonSchema = () => ({ type: 'object' })
    const output = {
      '~standard': {
        version: 1,
        vendor: 'v',
        validate: async () => broken(),
        jsonSchema: { input: jsonSchema, output: jsonSchema },
      },
    }
    const { message } = await call(
      toolThat(() => ({}), { output }),
      session,
    )
    expect(message.result).toMatchObject({ isError: true })
  })
})
