import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import type { Params, Principal } from '../call.ts'
import { type CallContext, definePrompt, defineResource, defineTool } from '../catalog/define.ts'
import { FakeReply } from './reply.fixture.ts'
import { type Asked, alice, serverWith } from './server.fixture.ts'

const toolThat = (run: (input: Record<string, unknown>, ctx: CallContext) => unknown, name = 'ask') =>
  defineTool({ name, description: 'Asks.', input: { type: 'object' }, run })
const name = { message: 'Your name?', schema: z.object({ name: z.string() }), key: 'name' }
const capabilities = { elicitation: { url: {} }, sampling: {}, roots: {} }
const accepted = (content: Params) => ({ action: 'accept', content })

const resultOf = (reply: FakeReply) => reply.messages.at(-1)?.['result'] as Record<string, unknown>
const errorOf = (reply: FakeReply) => (reply.messages.at(-1)!['error'] as { data: Params }).data
const textOf = (reply: FakeReply) => (resultOf(reply)['content'] as { text: string }[])[0]?.text

type Server = ReturnType<typeof serverWith>
/** Sends a call, and sends it again with what is answered, as long as questions come back. */
async function converse(
  server: Server,
  answers: Record<string, Params>,
  params: Params = { name: 'ask', arguments: { a: 1, b: 2 } },
  asked: Asked = {},
) {
  let more: Params = {}
  for (let round = 1; round <= 10; round++) {
    const reply = await server.send('tools/call', { ...params, ...more }, { capabilities, ...asked })
    await turn()
    const result = resultOf(reply)
    if (result?.['resultType'] !== 'input_required') return { reply, rounds: round }
    const keys = Object.keys(result['inputRequests'] as object)
    more = {
      inputResponses: Object.fromEntries(keys.map((key) => [key, answers[key]])),
      requestState: result['requestState'],
    }
  }
  return expect.unreachable('no end of questions')
}

describe('questions in round trips (2026-07-28)', () => {
  test('a question ends the call; with its answer the handler runs again from its start', async () => {
    let runs = 0
    const server = serverWith([
      toolThat(async (_input, ctx) => {
        runs++
        const answer = await ctx.elicit(name)
        return answer.action === 'accept' ? `hello ${answer.content.name}` : 'bye'
      }),
    ])
    const { reply, rounds } = await converse(server, { name: accepted({ name: 'Ada' }) })
    expect(textOf(reply)).toBe('hello Ada')
    expect([rounds, runs]).toEqual([2, 2])
    expect(server.records.map(({ outcome }) => outcome)).toEqual(['input_required', 'completed'])
  })

  test('a question says what is asked, and its result keeps what every result has', async () => {
    const server = serverWith([toolThat(async (_input, ctx) => ctx.elicit(name))])
    const reply = await server.send('tools/call', { name: 'ask' }, { capabilities })
    await turn()
    expect(resultOf(reply)).toEqual({
      resultType: 'input_required',
      requestState: expect.stringMatching(/^[A-Za-z0-9_-]{40,}$/),
      inputRequests: {
        name: {
          method: 'elicitation/create',
          params: expect.objectContaining({ mode: 'form', message: 'Your name?' }),
        },
      },
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 's', version: '1' } },
    })
  })

  test('questions asked together travel together; questions asked in turn take a round each', async () => {
    const ask = (ctx: CallContext, key: string) => ctx.elicit({ ...name, key })
    const together = serverWith([
      toolThat(async (_input, ctx) => JSON.stringify(await Promise.all([ask(ctx, 'one'), ctx.roots('two')]))),
    ])
    const answers = { one: accepted({ name: 'x' }), two: { roots: [{ uri: 'file:///a' }] } }
    expect((await converse(together, answers)).rounds).toBe(2)
    const inTurn = serverWith([
      toolThat(async (_input, ctx) => JSON.stringify([await ask(ctx, 'one'), await ctx.roots('two')])),
    ])
    const { reply, rounds } = await converse(inTurn, answers)
    expect(rounds).toBe(3)
    expect(JSON.parse(textOf(reply)!)).toEqual([accepted({ name: 'x' }), [{ uri: 'file:///a' }]])
  })

  test('prompts and resources can ask too', async () => {
    const server = serverWith([
      definePrompt({ name: 'p', get: async (_args, ctx) => JSON.stringify(await ctx.roots('r')) }),
      defineResource({ name: 'r', uri: 'app://r', read: async (_uri, ctx) => JSON.stringify(await ctx.roots('r')) }),
    ])
    for (const [method, params] of [
      ['prompts/get', { name: 'p' }],
      ['resources/read', { uri: 'app://r' }],
    ] as const) {
      const first = await server.send(method, params, { capabilities })
      await turn()
      const { requestState, resultType } = resultOf(first)
      expect(resultType).toBe('input_required')
      const second = await server.send(
        method,
        { ...params, requestState, inputResponses: { r: { roots: [] } } },
        { capabilities },
      )
      expect(resultOf(second)).toMatchObject({ resultType: 'complete' })
    }
  })

  test('a question that the client cannot be asked says what is missing', async () => {
    const server = serverWith([
      toolThat((_input, ctx) => ctx.roots(), 'roots'),
      toolThat((_input, ctx) => ctx.sample({ messages: [], maxTokens: 1 } as never), 'sampling'),
      toolThat((_input, ctx) => ctx.elicit(name), 'elicitation'),
      toolThat((_input, ctx) => ctx.elicitUrl({ message: 'm', url: 'https://a.example' }), 'url'),
    ])
    for (const [tool, required] of [
      ['roots', { roots: {} }],
      ['sampling', { sampling: {} }],
      ['elicitation', { elicitation: {} }],
      ['url', { elicitation: { url: {} } }],
    ] as const) {
      const reply = await server.send(
        'tools/call',
        { name: tool },
        { capabilities: tool === 'url' ? { elicitation: {} } : {} },
      )
      expect(errorOf(reply)).toMatchObject({ code: 'MISSING_CLIENT_CAPABILITY', requiredCapabilities: required })
      expect(reply.sent[0]).toMatch(/^answer 400 /)
    }
  })

  test('an answer that does not fit what was asked is refused', async () => {
    const server = serverWith([toolThat(async (_input, ctx) => (await ctx.elicit(name)).action)])
    for (const answer of [{}, { action: 'maybe' }, accepted({}), accepted({ name: 7 }), { action: ['accept'] }]) {
      const { reply } = await converse(server, { name: answer })
      expect(errorOf(reply), JSON.stringify(answer)).toMatchObject({ code: 'INVALID_INPUT_RESPONSE' })
    }
    for (const answer of ['text', null, []] as never[]) {
      const { reply } = await converse(server, { name: answer })
      expect(errorOf(reply), JSON.stringify(answer)).toMatchObject({ code: 'INVALID_INPUT_RESPONSE' })
    }
    for (const action of ['decline', 'cancel'])
      expect(textOf((await converse(server, { name: { action } })).reply)).toBe(action)
  })

  test('two questions of one call with one key are the author’s mistake', async () => {
    const server = serverWith([toolThat((_input, ctx) => Promise.all([ctx.elicit(name), ctx.elicit(name)]))])
    const reply = await server.send('tools/call', { name: 'ask' }, { capabilities })
    await turn()
    expect(resultOf(reply)).toMatchObject({ isError: true })
    expect(server.logged).toEqual(['a tool failed'])
  })
})

describe('a request state', () => {
  const asking = () => toolThat(async (_input, ctx) => (await ctx.elicit(name)).action)
  const responses = { name: accepted({ name: 'x' }) }
  const begin = async (
    server: Server,
    params: Params = { name: 'ask', arguments: { a: 1, b: 2 } },
    asked: Asked = {},
  ) => {
    const reply = await server.send('tools/call', params, { capabilities, ...asked })
    await turn()
    return resultOf(reply)['requestState'] as string
  }
  const again = (
    server: Server,
    requestState: unknown,
    params: Params = { name: 'ask', arguments: { a: 1, b: 2 } },
    asked: Asked = {},
  ) => server.send('tools/call', { ...params, inputResponses: responses, requestState }, { capabilities, ...asked })

  test('AU-07: opens for the same principal, method and parameters, in any order of their keys', async () => {
    const server = serverWith([asking()])
    const state = await begin(server)
    expect(textOf(await again(server, state))).toBe('accept')
    expect(textOf(await again(server, state, { arguments: { b: 2, a: 1 }, name: 'ask' }))).toBe('accept')
    expect(textOf(await again(server, state, { name: 'ask', arguments: { a: 1, b: 2 }, _meta: { other: 1 } }))).toBe(
      'accept',
    )
  })

  test.each<[string, Params, Partial<Principal>]>([
    ['another principal', {}, { binding: 't1 user bob key_bob' }],
    ['another tenant', {}, { binding: 't2 user alice key_alice' }],
    ['other arguments', { arguments: { a: 1, b: 3 } }, {}],
    ['fewer arguments', { arguments: { a: 1 } }, {}],
    ['another tool', { name: 'other' }, {}],
    ['another parameter', { extra: 1 }, {}],
  ])('AU-07: does not open for %s', async (_, params, principal) => {
    const server = serverWith([asking(), toolThat(() => expect.unreachable(), 'other')])
    const state = await begin(server)
    const reply = await again(
      server,
      state,
      { name: 'ask', arguments: { a: 1, b: 2 }, ...params },
      { principal: { ...alice, ...principal } },
    )
    expect(errorOf(reply)).toEqual({ code: 'INVALID_REQUEST_STATE' })
  })

  test('AU-07: does not open for another method', async () => {
    const server = serverWith([asking(), definePrompt({ name: 'ask', get: () => expect.unreachable() })])
    const state = await begin(server, { name: 'ask' })
    const reply = await server.send('prompts/get', { name: 'ask', requestState: state }, { capabilities })
    expect(errorOf(reply)).toEqual({ code: 'INVALID_REQUEST_STATE' })
  })

  test('AU-06: ends after a quarter of an hour, to the millisecond', async () => {
    const server = serverWith([asking()])
    const state = await begin(server)
    server.clock.now += 899_999
    expect(textOf(await again(server, state))).toBe('accept')
    server.clock.now += 1
    expect(errorOf(await again(server, state))).toEqual({ code: 'INVALID_REQUEST_STATE' })
  })

  test('TR-18: altered or made up, it is refused before the handler runs, whether that would ask or not', async () => {
    const server = serverWith([asking(), toolThat(() => expect.unreachable(), 'quiet')])
    const state = await begin(server)
    for (const bad of [
      '',
      'x',
      `${state}=`,
      state.slice(0, -1),
      state.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
      7,
      null,
      {},
    ]) {
      expect(errorOf(await again(server, bad)), String(bad)).toEqual({ code: 'INVALID_REQUEST_STATE' })
      expect(errorOf(await again(server, bad, { name: 'quiet' }))).toEqual({ code: 'INVALID_REQUEST_STATE' })
    }
    for (const bad of ['x', [], 7]) {
      const reply = await server.send('tools/call', { name: 'quiet', inputResponses: bad }, { capabilities })
      expect(errorOf(reply)).toMatchObject({ code: 'INVALID_PARAMS' })
    }
  })

  test('does not show what it holds', async () => {
    const server = serverWith([
      toolThat(async (_input, ctx) => {
        await ctx.once('work', () => 'canary')
        return ctx.elicit(name)
      }),
    ])
    const state = await begin(server)
    expect(Buffer.from(state, 'base64url').includes('canary')).toBe(false)
  })
})

describe('work that is done once', () => {
  test('is done once, however many rounds the questions take, and its result is the same in all', async () => {
    let charged = 0
    const seen: unknown[] = []
    const server = serverWith([
      toolThat(async (_input, ctx) => {
        const receipt = await ctx.once('charge', () => ({ number: ++charged }))
        const nothing = await ctx.once('nothing', () => undefined)
        seen.push([receipt, nothing ?? null])
        await ctx.elicit({ ...name, key: 'one' })
        await ctx.elicit({ ...name, key: 'two' })
        return 'done'
      }),
    ])
    const { rounds } = await converse(server, { one: accepted({ name: 'x' }), two: accepted({ name: 'y' }) })
    expect([rounds, charged]).toEqual([3, 1])
    expect(seen).toEqual([
      [{ number: 1 }, null],
      [{ number: 1 }, null],
      [{ number: 1 }, null],
    ])
  })

  test('is done once where it is asked for twice at the same time', async () => {
    let charged = 0
    const both = (_input: unknown, ctx: CallContext) =>
      Promise.all([1, 2].map(() => ctx.once('charge', () => turn(++charged)))).then((all) => all.join())
    const server = serverWith([toolThat(both)])
    expect(textOf((await converse(server, {})).reply)).toBe('1,1')
    expect(textOf(await server.send('tools/call', { name: 'ask' }, { session: server.openSession() }))).toBe('2,2')
  })

  test('is done once although a question goes out while it is under way', async () => {
    let charged = 0
    let finish = () => {}
    const server = serverWith([
      toolThat(async (_input, ctx) => {
        const work = ctx.once('charge', async () => {
          await new Promise<void>((resolve) => (finish = resolve))
          return ++charged
        })
        const [receipt] = await Promise.all([work, ctx.elicit(name)])
        return `receipt ${receipt}`
      }),
    ])
    const first = new FakeReply()
    const sent = server.send('tools/call', { name: 'ask' }, { capabilities, reply: first })
    await turn()
    await turn()
    expect(first.sent).toEqual([])
    finish()
    await sent
    const { requestState } = resultOf(first)
    const second = await server.send(
      'tools/call',
      { name: 'ask', requestState, inputResponses: { name: accepted({ name: 'x' }) } },
      { capabilities },
    )
    expect(textOf(second)).toBe('receipt 1')
    expect(charged).toBe(1)
  })

  test('may ask a question itself', async () => {
    const server = serverWith([
      toolThat(async (_input, ctx) =>
        ctx.once('outer', () =>
          ctx.once('inner', async () => {
            await turn()
            return (await ctx.elicit(name)).action
          }),
        ),
      ),
    ])
    const first = new FakeReply()
    const sent = server.send('tools/call', { name: 'ask' }, { capabilities, reply: first })
    await sent
    const { requestState } = resultOf(first)
    const second = await server.send(
      'tools/call',
      { name: 'ask', requestState, inputResponses: { name: accepted({ name: 'x' }) } },
      { capabilities },
    )
    expect(textOf(second)).toBe('accept')
  })

  test('that failed may be tried again', async () => {
    let tries = 0
    const flaky = async (_input: unknown, ctx: CallContext) => {
      const work = () => {
        if (++tries % 2 === 1) throw new Error('not yet')
        return 'worked'
      }
      await ctx.once('work', work).catch(() => undefined)
      return ctx.once('work', work)
    }
    const server = serverWith([toolThat(flaky)])
    expect(textOf((await converse(server, {})).reply)).toBe('worked')
    expect(textOf(await server.send('tools/call', { name: 'ask' }, { session: server.openSession() }))).toBe('worked')
  })

  test('whose result JSON cannot say fails the call, and nothing else', async () => {
    const server = serverWith([
      toolThat(async (_input, ctx) => {
        await ctx.once('work', () => 10n)
        return ctx.elicit(name)
      }),
    ])
    const reply = await server.send('tools/call', { name: 'ask' }, { capabilities })
    expect(resultOf(reply)).toMatchObject({ isError: true })
    expect(server.logged).toEqual(['a tool failed'])
  })
})

describe('questions on an open stream (to 2025-11-25)', () => {
  const answerLast = (server: Server, session: ReturnType<Server['openSession']>, reply: FakeReply, result: Params) =>
    server.tell({ kind: 'response', id: reply.messages.at(-1)!['id'] as string, result }, { session })

  test('are asked in the midst of the call, and the handler runs once', async () => {
    let runs = 0
    const server = serverWith([
      toolThat(async (_input, ctx) => {
        runs++
        const answer = await ctx.elicit(name)
        return answer.action === 'accept' ? `hello ${answer.content.name}` : 'bye'
      }),
    ])
    const session = server.openSession()
    const reply = new FakeReply()
    const done = server.send('tools/call', { name: 'ask' }, { session, capabilities, reply })
    await turn()
    expect(reply.messages.at(-1)).toMatchObject({ method: 'elicitation/create', params: { mode: 'form' } })
    answerLast(server, session, reply, accepted({ name: 'Ada' }))
    await done
    expect(textOf(reply)).toBe('hello Ada')
    expect(runs).toBe(1)
  })

  test('RL-19: a question that nobody waits for does not end the process when the call is cancelled', async () => {
    const escaped: unknown[] = []
    const note = (reason: unknown) => escaped.push(reason)
    process.on('unhandledRejection', note)
    try {
      const server = serverWith([
        toolThat(async (_input, ctx) => {
          void ctx.elicit(name)
          void ctx.roots()
          void ctx.once('work', () => Promise.reject(new Error('work')))
          return 'done'
        }),
      ])
      const session = server.openSession()
      await server.send('tools/call', { name: 'ask' }, { session, capabilities })
      server.services.live.end(session.id)
      await server.send('tools/call', { name: 'ask' }, { capabilities: {} })
      await turn()
      expect(escaped).toEqual([])
    } finally {
      process.off('unhandledRejection', note)
    }
  })
})
