import { createSecretKey } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Message, Params } from '../call.ts'
import { Fault } from '../errors.ts'
import { statefulRevision } from '../wire/revision-2025-11-25.ts'
import { faultStatus } from './line.ts'
import { LiveSession } from './live-session.ts'
import { LiveSessions } from './live-sessions.ts'
import { FakeReply } from './reply.fixture.ts'
import { alice, serverWith } from './server.fixture.ts'

const openLive = () => {
  const server = serverWith([])
  const live = new LiveSession(server.openSession(), alice, undefined, createSecretKey(Buffer.alloc(32, 5)))
  const reply = new FakeReply()
  live.openStandalone().attach(reply)
  const ask = (signal = new AbortController().signal) => live.ask(live.standalone!, 'roots/list', {}, signal)
  const idOf = (at: number) => reply.messages[at]!['id'] as string
  return { live, reply, ask, idOf }
}
const answering = { about: '{}', lost: () => '{}' }
const result = (id: string | number, body: Params = {}) =>
  ({ kind: 'response', id, result: body }) as Extract<Message, { kind: 'response' }>

describe('a question to the client', () => {
  test('is asked under an id nobody can guess, and answered with what comes back', async () => {
    const { ask, idOf, live, reply } = openLive()
    const answers = [ask(), ask()]
    expect(reply.messages[0]).toMatchObject({ jsonrpc: '2.0', method: 'roots/list', params: {} })
    expect(idOf(0)).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(idOf(0)).not.toBe(idOf(1))
    live.answer(result(idOf(1), { roots: [2] }))
    live.answer(result(idOf(0), { roots: [1] }))
    expect(await Promise.all(answers)).toEqual([{ roots: [1] }, { roots: [2] }])
  })

  test('SE-13: takes one answer; a second, an unknown and a late one do nothing', async () => {
    const { ask, idOf, live } = openLive()
    const answer = ask()
    for (const id of ['unknown', 1, '', 'constructor', '__proto__']) live.answer(result(id))
    live.answer(result(idOf(0), { first: true }))
    live.answer(result(idOf(0), { second: true }))
    expect(await answer).toEqual({ first: true })
  })

  test('SE-13: an answer in another session does nothing', async () => {
    const [mine, other] = [openLive(), openLive()]
    const answer = mine.ask()
    other.live.answer(result(mine.idOf(0), { forged: true }))
    mine.live.answer(result(mine.idOf(0), { honest: true }))
    expect(await answer).toEqual({ honest: true })
  })

  test('an error is told in at most two hundred characters of the client’s words', async () => {
    const { ask, idOf, live } = openLive()
    const answer = ask()
    live.answer({ id: idOf(0), error: { code: -1, message: 'x'.repeat(1_000) } })
    await expect(answer).rejects.toMatchObject({ code: 'client.refused', detail: { says: 'x'.repeat(200) } })
  })

  test('ends with the call that asked it: at once where that is over already', async () => {
    const { ask, idOf, live, reply } = openLive()
    const controller = new AbortController()
    const answer = ask(controller.signal)
    controller.abort(new Fault('tool.timeout'))
    await expect(answer).rejects.toMatchObject({ code: 'tool.timeout' })
    live.answer(result(idOf(0)))
    await expect(ask(AbortSignal.abort())).rejects.toMatchObject({ code: 'call.cancelled' })
    expect(reply.messages).toHaveLength(1)
  })

  test('ends with the session', async () => {
    const { ask, live, reply } = openLive()
    const answer = ask()
    live.end(new Fault('session.unknown'))
    await expect(answer).rejects.toMatchObject({ code: 'session.unknown' })
    expect(reply.gone).toBe(true)
  })

  test('RL-17: a session has so many open questions and no more', async () => {
    const { ask, idOf, live } = openLive()
    const open = Array.from({ length: 100 }, () => ask())
    const refused = await ask().catch((thrown: unknown) => thrown as Fault)
    expect(refused).toMatchObject({ code: 'capacity.exceeded' })
    // A proxy takes a 503 for leave to send the call to another server; this one has begun.
    const revision = statefulRevision('2025-11-25')
    expect([faultStatus(refused as Fault, revision), faultStatus(new Fault('capacity.exceeded'), revision)]).toEqual([
      200, 503,
    ])
    live.answer(result(idOf(0)))
    await open[0]
    open.push(ask())
    live.end(new Fault('session.unknown'))
    const ends = (await Promise.allSettled(open)).map((each) =>
      each.status === 'fulfilled' ? 'answered' : each.reason.code,
    )
    expect(ends).toEqual(['answered', ...Array(100).fill('session.unknown')])
  })
})

describe('what a process holds of sessions', () => {
  test('costs nothing for a session that never streamed', () => {
    const server = serverWith([])
    const all = new LiveSessions(undefined)
    const live = all.of(server.openSession(), alice)
    all.release(live)
    expect([...all.all()]).toEqual([])
  })

  test('is kept once it streamed, so that no stream number is given twice', () => {
    const server = serverWith([])
    const all = new LiveSessions(undefined)
    const session = server.openSession()
    const live = all.of(session, alice)
    const first = live.openStream(answering)
    live.dropStream(first)
    all.release(live)
    expect(all.of(session, alice).openStream(answering).number).not.toBe(first.number)
  })

  test('ends with the session, history included, even where that cannot be reached', async () => {
    const dropped: string[] = []
    const { resumption, openSession } = serverWith([])
    const history = {
      ...resumption.history,
      drop: async (id: string) => {
        dropped.push(id)
        throw new Error('out of reach')
      },
    }
    const all = new LiveSessions({ ...resumption, history })
    const session = openSession()
    const reply = new FakeReply()
    all.of(session, alice).openStandalone().attach(reply)
    all.end(session.id)
    all.end('never seen')
    expect(dropped).toEqual([session.id, 'never seen'])
    expect(reply.gone).toBe(true)
    expect(all.find(session.id)).toBeUndefined()
  })
})
