import { expect } from 'vitest'
import { localOperator } from '../../../packages/merlon/src/identity/actor.ts'
import { type AttackCase, each } from '../attack-case.ts'
import type { Answer, Connection, StreamEvent } from '../connection.ts'
import type { Session, Target } from '../harness.ts'
import { ledger } from '../project/src/ledger.ts'

const area = 'Event history'
const progress = { progressToken: 'p' }

const counting = (session: Session, to: number, id: string | number = 1) =>
  session.request('tools/call', { name: 'count', arguments: { to }, _meta: progress }, { id })

/** A stream of a session that has ended, with its events. */
async function counted(target: Target, session: Session, to = 5): Promise<readonly StreamEvent[]> {
  const answer = await target.send(counting(session, to))
  expect(answer.messages).toHaveLength(to + 1)
  return answer.events
}

/** Resumes; waits while the server has not yet noticed that the reader before is gone. */
async function resume(
  target: Target,
  session: Session,
  last: string,
): Promise<{ connection: Connection; answer: Answer }> {
  let found: { connection: Connection; answer: Answer } | undefined
  await target.settled(async () => {
    const connection = await target.begin(session.stream(last))
    const answer = await connection.begun()
    if (answer.status === 409) connection.destroy()
    expect(answer.status).not.toBe(409)
    found = { connection, answer }
  })
  if (found === undefined) throw new Error('no stream was resumed')
  return found
}

/** A number from 0 to below `below`, the same sequence on every run (mulberry32). */
function sequence(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const stepOf = ({ data }: StreamEvent) => (JSON.parse(data) as { params?: { progress: number } }).params?.progress

export const eventCases: readonly AttackCase[] = [
  ...each(
    {
      id: 'O-077',
      area,
      requirement: ['EV-01', 'EV-02', 'CO-07'],
      title: 'the event of somebody else, or of another session, gives nothing',
      expect: { status: 404, code: 'SESSION_NOT_FOUND', audit: { type: 'session_violation', success: false } },
    },
    {
      'another tenant, its own session': async (target) => {
        const [first] = await counted(target, await target.openSession('A.read'))
        return await target.send((await target.openSession('B.read')).stream(first!.id))
      },
      'another tenant, the session of the event': async (target) => {
        const session = await target.openSession('A.read')
        const [first] = await counted(target, session)
        return await target.send(session.stream(first!.id, 'B.read'))
      },
      'another key of the user': async (target) => {
        const session = await target.openSession('A.read')
        const [first] = await counted(target, session)
        return await target.send(session.stream(first!.id, 'A.write'))
      },
      'another session of the same principal, with a stream at the same place': async (target) => {
        const [session, other] = [await target.openSession('A.read'), await target.openSession('A.read')]
        const [first] = await counted(target, session)
        await counted(target, other)
        return await target.send(other.stream(first!.id))
      },
      'another session of the same principal': async (target) => {
        const [first] = await counted(target, await target.openSession('A.read'))
        return await target.send((await target.openSession('A.read')).stream(first!.id))
      },
    },
  ),
  {
    id: 'O-077',
    sub: 'another stream',
    area,
    requirement: ['EV-02'],
    title: 'an event gives the rest of its own stream and nothing of another',
    send: async (target) => {
      const session = await target.openSession('A.read')
      const one = await counted(target, session, 3)
      const two = await counted(target, session, 7)
      const rest = await target.send(session.stream(one[1]!.id))
      expect(rest.messages.map(({ id }) => id)).toEqual(one.slice(2).map(({ id }) => id))
      const others = new Set(two.map(({ id }) => id))
      expect(rest.events.some(({ id }) => others.has(id))).toBe(false)
      return rest
    },
    expect: { status: 200 },
  },
  ...each(
    {
      id: 'O-078',
      area,
      requirement: ['EV-01', 'TR-18', 'CO-07'],
      title: 'an event id that was altered or made up gives nothing',
      expect: {
        status: 404,
        code: 'SESSION_NOT_FOUND',
        audit: { type: 'session_violation', success: false, reason: 'event-id' },
      },
    },
    Object.fromEntries(
      (
        [
          ['a flipped bit of its place', (id) => flip(id, 7)],
          ['a flipped bit of its stream', (id) => flip(id, 3)],
          ['a flipped bit of its tag', (id) => flip(id, 23)],
          ['truncated', (id) => id.slice(0, 20)],
          ['a byte more', (id) => `${id}AAAA`],
          ['another alphabet', (id) => `+${id.slice(1)}`],
          ['with padding', (id) => `${id}=`],
          ['a space inside', (id) => `${id.slice(0, 5)} ${id.slice(6)}`],
          ['a number', () => '0'],
          ['a word', () => 'constructor'],
          ['10 KB', () => 'A'.repeat(10_000)],
          ['zeros', () => 'A'.repeat(32)],
        ] as [string, (id: string) => string][]
      ).map(([sub, forge]): [string, AttackCase['send']] => [
        sub,
        async (target) => {
          const session = await target.openSession('A.read')
          const events = await counted(target, session)
          const answer = await target.send(session.stream(forge(events[2]!.id!)))
          expect(answer.events).toEqual([])
          return answer
        },
      ]),
    ),
  ),
  {
    id: 'O-078',
    sub: '100 KB',
    area,
    requirement: ['EV-01', 'TR-18', 'RL-09', 'CO-12'],
    title: 'an event id that is longer than a head may be is refused with its head, before anybody looks for it',
    send: async (target) => {
      const session = await target.openSession('A.read')
      await counted(target, session)
      const answer = await target.send(session.stream('A'.repeat(100_000)))
      expect(answer.events).toEqual([])
      return answer
    },
    expect: {
      status: 431,
      code: 'HEADERS_TOO_LARGE',
      audit: { type: 'edge', success: false, code: 'HEADERS_TOO_LARGE' },
    },
  },
  {
    id: 'X-353',
    area,
    requirement: ['EV-01', 'CO-07'],
    title: 'the body for an event that is not ours is the body for a session that is not there',
    send: async (target) => {
      const session = await target.openSession('A.read')
      const [first] = await counted(target, session)
      const other = await target.openSession('A.read')
      const nowhere = await target.send({ as: 'A.read', verb: 'GET', headers: { 'Mcp-Session-Id': 'A'.repeat(43) } })
      const forged = await target.send(session.stream(flip(first!.id!, 7)))
      const foreign = await target.send(other.stream(first!.id))
      const stranger = await target.send(session.stream(first!.id, 'B.read'))
      expect(new Set([nowhere, forged, foreign, stranger].map(({ text }) => text)).size).toBe(1)
      return [forged, foreign, stranger]
    },
    expect: { status: 404 },
  },
  {
    id: 'O-079',
    area,
    requirement: ['EV-04'],
    title: 'a stream that breaks two hundred times gives every event once and in order',
    config: { resumability: { eventsMax: 5_000 } },
    send: async (target) => {
      const total = 1_000
      const breaks = 200
      const random = sequence(20_260_728)
      const { gate } = ledger()
      // An answer begins with what it says first.
      gate.open(1)
      const session = await target.openSession('A.read')
      const params = { name: 'count', arguments: { to: total, waits: true }, _meta: progress }
      const kept: StreamEvent[] = []
      let connection = await target.begin(session.request('tools/call', params))
      let answer = await connection.begun()
      let broken = 0
      for (;;) {
        const before = kept.length
        const wanted = broken < breaks ? 1 + random(7) : total + 1 - before
        // The call goes on while nobody reads, and has not ended when the reader leaves, but for the last ten times.
        gate.open(broken < breaks - 10 ? Math.min(total - 1, before + wanted + random(9)) : total)
        const reader = { connection, answer }
        await reader.connection.until(
          () => reader.answer.messages.length >= wanted || reader.connection.closed,
          'more of a stream',
        )
        // A reader may lose what it had received and not yet looked at.
        kept.push(...reader.answer.messages.slice(0, wanted))
        const { complete } = reader.answer
        if (broken >= breaks) break
        if (broken < breaks - 10) expect(complete, `the stream has ended before break ${broken}`).toBe(false)
        connection.destroy()
        broken++
        const last = kept.at(-1)?.id
        ;({ connection, answer } = await resume(target, session, last!))
      }
      await connection.answer()
      expect(kept.slice(0, -1).map(stepOf)).toEqual(Array.from({ length: total }, (_, at) => at + 1))
      expect(new Set(kept.map(({ id }) => id)).size).toBe(total + 1)
      expect(JSON.parse(kept.at(-1)!.data)).toMatchObject({
        id: 1,
        result: { content: [{ text: `counted to ${total}` }] },
      })
      return undefined
    },
  },
  ...each(
    {
      id: 'O-080',
      area,
      requirement: ['EV-05', 'CO-07'],
      title: 'history that is gone is an error and not a gap',
      expect: {
        status: 410,
        code: 'HISTORY_LOST',
        audit: { type: 'session_violation', success: false, reason: 'history-lost' },
      },
    },
    {
      'too many events': async (target) => {
        const session = await target.openSession('A.read')
        const events = await counted(target, session, 1_100)
        return await target.send(session.stream(events[3]!.id))
      },
    },
  ),
  {
    id: 'O-080',
    sub: 'too old',
    area,
    requirement: ['EV-05', 'CO-07'],
    title: 'history that is gone is an error and not a gap',
    alone: true,
    send: async (target) => {
      const session = await target.openSession('A.read')
      const events = await counted(target, session)
      target.advance(290_000)
      expect((await target.send(session.stream(events[1]!.id))).messages).toHaveLength(5)
      target.advance(11_000)
      return await target.send(session.stream(events[1]!.id))
    },
    expect: { status: 410, audit: { type: 'session_violation', success: false, reason: 'history-lost' } },
  },
  {
    id: 'X-111',
    area,
    requirement: ['EV-05'],
    title: 'the last event of a stream, and not an older one, can be resumed from while others push history out',
    config: { resumability: { eventsMax: 10 } },
    send: async (target) => {
      const session = await target.openSession('A.read')
      const mine = await counted(target, session, 3)
      await counted(target, session, 20)
      return await target.send(session.stream(mine[0]!.id))
    },
    expect: { status: 410, audit: { reason: 'history-lost' } },
  },
  {
    id: 'X-112',
    area,
    requirement: ['EV-08', 'EV-03'],
    title: 'there is no replay in a session that has ended, nor for a credential that is no longer good',
    alone: true,
    send: async (target) => {
      const session = await target.openSession('A.read')
      const [first] = await counted(target, session)
      const other = await target.openSession('A.write')
      const [another] = await counted(target, other)
      expect((await target.send(other.stream(another!.id))).messages.length).toBeGreaterThan(0)
      await target.stores.users.updateUser('tenant-a', 'usr_tenant-a_user', { status: 'disabled' }, {}, target.now())
      for (const each of [session, other])
        await target.settled(async () => expect((await target.send(each.request('ping'))).status).toBe(401))
      const refused = await target.send(other.stream(another!.id))
      expect([refused.status, refused.events]).toEqual([401, []])
      await target.stores.users.updateUser('tenant-a', 'usr_tenant-a_user', { status: 'active' }, {}, target.now())
      // Who is let in again begins again.
      await target.settled(async () => expect((await target.send(session.request('ping'))).status).toBe(404))
      const next = await target.openSession('A.read')
      const [last] = await counted(target, next)
      expect((await target.send(next.end())).status).toBe(204)
      return [await target.send(session.stream(first!.id)), await target.send(next.stream(last!.id))]
    },
    expect: { status: 404 },
  },
  {
    id: 'X-113',
    area,
    requirement: ['EV-09', 'SE-11'],
    title: 'of readers who resume a running stream at once, one gets it',
    send: async (target) => {
      const session = await target.openSession('A.read')
      const running = await target.begin(session.request('tools/call', { name: 'slow', _meta: progress }, { id: 4 }))
      const { id } = (await running.messages(2)).messages[0]!
      running.destroy()
      await target.settled(async () => {
        const readers = await Promise.all(Array.from({ length: 8 }, () => target.begin(session.stream(id))))
        const heads = await Promise.all(readers.map((reader) => reader.begun()))
        const won = heads.filter(({ status }) => status === 200)
        for (const { status } of heads) expect([200, 409]).toContain(status)
        const winner = readers[heads.findIndex(({ status }) => status === 200)]
        await winner?.messages(2)
        for (const reader of readers) reader.destroy()
        expect(won).toHaveLength(1)
      })
      expect((await target.send(session.end())).status).toBe(204)
      return undefined
    },
  },
  {
    id: 'X-350',
    area,
    requirement: ['EV-09', 'EV-04', 'CO-07'],
    title: 'an id that the client has gone beyond does not move the stream back',
    send: async (target) => {
      const session = await target.openSession('A.read')
      const events = await counted(target, session, 8)
      const [older, newer] = [events[1]!.id!, events[4]!.id!]
      expect((await target.send(session.stream(older))).messages).toHaveLength(8)
      // Until a later one is named it can be named again: what it gave may have been lost on its way.
      expect((await target.send(session.stream(older))).messages).toHaveLength(8)
      expect((await target.send(session.stream(newer))).messages).toHaveLength(5)
      const replayed = await target.send(session.stream(older))
      expect(replayed.events).toEqual([])
      expect((await target.send(session.stream(newer))).messages).toHaveLength(5)
      return replayed
    },
    expect: {
      status: 409,
      code: 'EVENT_SUPERSEDED',
      audit: { type: 'session_violation', success: false, code: 'EVENT_SUPERSEDED' },
    },
  },
  {
    id: 'X-351',
    area,
    requirement: ['EV-09', 'SE-11'],
    title: 'of two who come at once for what an ended stream still holds, one gets it',
    send: async (target) => {
      const session = await target.openSession('A.read')
      const events = await counted(target, session, 8)
      const connections = await Promise.all([target.connect('A.read'), target.connect('A.read')])
      for (const connection of connections) connection.write(target.bytesOf(session.stream(events[1]!.id)), 'GET')
      const answers = await Promise.all(connections.map((each) => each.answer()))
      const statuses = answers.map((answer) => answer!.status).sort()
      expect(statuses).toEqual([200, 409])
      expect(answers.find((answer) => answer!.status === 200)!.messages).toHaveLength(8)
      return answers.filter((answer) => answer!.status === 409).map((answer) => answer!)
    },
    expect: {
      status: 409,
      code: 'STREAM_TAKEN',
      audit: { type: 'session_violation', success: false, code: 'STREAM_TAKEN' },
    },
  },
  {
    id: 'X-352',
    area,
    requirement: ['EV-03', 'AU-09'],
    title: 'the answer to a call that may not be made any more is not given out again',
    alone: true,
    config: { server: { responseMode: 'stream' } },
    may: ['write_note'],
    send: async (target) => {
      const session = await target.openSession('A.write')
      const answered = await target.send(
        session.request('tools/call', { name: 'write_note', arguments: { text: 'of before' } }),
      )
      const [first] = answered.events
      expect((await target.send(session.stream(first!.id))).messages).toHaveLength(1)
      const { id } = target.key('A.write')
      expect(await target.server.keys.updateKey(id, { scopes: ['read'] }, localOperator)).toMatchObject({ ok: true })
      let refused: Answer | undefined
      await target.settled(async () => {
        refused = await target.send(session.stream(first!.id))
        expect(refused.status).not.toBe(200)
      })
      expect(refused?.events).toEqual([])
      // What it may still do, it may still come back for.
      const listed = await target.send(session.request('tools/list', {}, { id: 2 }))
      expect((await target.send(session.stream(listed.events[0]!.id))).messages).toHaveLength(1)
      return refused
    },
    expect: {
      status: 403,
      code: 'INSUFFICIENT_SCOPE',
      headers: { 'WWW-Authenticate': /scope="write"/ },
      audit: { success: false, scope: 'write', code: 'INSUFFICIENT_SCOPE' },
      notes: 1,
    },
  },
  {
    id: 'X-114',
    area,
    requirement: ['EV-10', 'TR-19'],
    title: '2026-07-28 is not resumed: leaving it and coming back with an event gives no history',
    send: async (target) => {
      const session = await target.openSession('A.read')
      const [first] = await counted(target, session)
      const answer = await target.send({
        as: 'A.read',
        verb: 'GET',
        headers: { 'MCP-Protocol-Version': '2026-07-28', 'Mcp-Session-Id': session.id, 'Last-Event-ID': first!.id! },
      })
      expect(answer.events).toEqual([])
      return answer
    },
    expect: { status: 405 },
  },
]

function flip(id: string, at: number): string {
  const bytes = Buffer.from(id, 'base64url')
  bytes[at] = bytes[at]! ^ 1
  return bytes.toString('base64url')
}
