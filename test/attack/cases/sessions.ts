import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect } from 'vitest'
import { serverWith } from '../../../packages/merlon/src/dispatch/server.fixture.ts'
import { type AttackCase, each } from '../attack-case.ts'
import type { Session, Target } from '../harness.ts'
import { call, initialize, type Person } from '../request.ts'

const area = 'Sessions'
const progress = { progressToken: 'p' }
const made = 'A'.repeat(43)

/** GET, POST and DELETE of a session by somebody. */
const all = (target: Target, session: Session, as?: Person) =>
  [
    target.send(session.request('tools/list', {}, { as: as as Person })),
    target.send(session.stream(undefined, as)),
    target.send(session.end(as)),
  ] as const

/** The bodies of POST, GET and DELETE for a session that is not there, or not ours. */
async function bodies(target: Target, session: Session, as?: Person): Promise<readonly string[]> {
  const answers = await Promise.all(all(target, session, as))
  for (const { status } of answers) expect(status).toBe(404)
  return answers.map(({ text }) => text)
}

/** The same session under another id. */
function renamed(session: Session, id: string, as: Person): Session {
  const headers = { 'Mcp-Session-Id': id }
  return {
    id,
    request: (method, params, options) => ({ ...session.request(method, params, { ...options, as }), headers }),
    notify: (method, params) => ({ ...session.notify(method, params), headers }),
    stream: () => ({ as, verb: 'GET', headers }),
    end: () => ({ as, verb: 'DELETE', headers }),
  }
}

/**
 * Holds that ids are drawn from 256 bits: each bit is set in half of them, no byte prefers a value, and an id has no more
 * in common with the one before than chance gives it. The bounds are so wide that chance passes them once in a million runs.
 */
function holdRandom(texts: readonly string[]): void {
  for (const text of texts) expect(text).toMatch(/^[A-Za-z0-9_-]{43}$/)
  const ids = texts.map((text) => Buffer.from(text, 'base64url'))
  const count = ids.length
  const deviations = 3.5 / Math.sqrt(count)
  let entropy = 0
  for (let byte = 0; byte < 32; byte++) {
    const values = new Uint32Array(256)
    for (const id of ids) values[id[byte]!]!++
    // What an attacker gains who guesses the most frequent value.
    entropy -= Math.log2(Math.max(...values) / count)
    for (let bit = 0; bit < 8; bit++) {
      const set = values.reduce((sum, times, value) => sum + (((value >> bit) & 1) === 1 ? times : 0), 0)
      expect(Math.abs(set / count - 0.5), `bit ${bit} of byte ${byte}`).toBeLessThan(deviations)
    }
  }
  expect(entropy).toBeGreaterThan(128)
  for (let at = 1; at < count; at++) {
    let differs = 0
    for (let byte = 0; byte < 32; byte++)
      for (let left = ids[at]![byte]! ^ ids[at - 1]![byte]!; left > 0; left >>= 1) differs += left & 1
    // Of 256 coins 128 fall on one side: eight standard deviations are 64.
    expect(Math.abs(differs - 128), 'bits that differ from the id before').toBeLessThan(64)
  }
}

export const sessionCases: readonly AttackCase[] = [
  {
    id: 'O-069',
    area,
    requirement: ['SE-02', 'SE-03', 'SE-04', 'SE-10', 'AU-05', 'CO-07'],
    title: 'a session of somebody else, one that ended, one that expired and one that never was answer the same',
    alone: true,
    send: async (target) => {
      const session = await target.openSession('A.write')
      const ended = await target.openSession('A.write')
      expect((await target.send(ended.end())).status).toBe(204)
      const nowhere = await bodies(target, renamed(session, made, 'A.write'), 'A.write')
      for (const as of ['A.read', 'A.admin', 'A.limited', 'B.write', 'B.admin'] as const)
        expect(await bodies(target, session, as), as).toEqual(nowhere)
      expect(await bodies(target, ended)).toEqual(nowhere)
      expect((await target.send(session.request('tools/list'))).status).toBe(200)
      target.advance(1_800_000)
      expect(await bodies(target, session)).toEqual(nowhere)
      return undefined
    },
    expect: { audit: { type: 'session_violation', success: false, code: 'SESSION_NOT_FOUND', reason: 'session' } },
  },
  {
    id: 'X-100',
    area,
    requirement: ['CO-08'],
    title: 'a call that needs a session and names none is told so',
    send: async (target) => [
      await target.send({ ...(await target.openSession('A.read')).request('tools/list'), headers: {} }),
      await target.send({ as: 'A.read', verb: 'GET' }),
      await target.send({ as: 'A.read', verb: 'DELETE' }),
      await target.send({ as: 'A.read', body: '{"jsonrpc":"2.0","method":"notifications/initialized"}' }),
      await target.send({ as: 'A.read', body: '{"jsonrpc":"2.0","id":1,"result":{}}' }),
    ],
    expect: { status: 400, code: 'SESSION_REQUIRED', audit: { type: 'session_violation', success: false } },
  },
  ...each(
    {
      id: 'O-071',
      area,
      requirement: ['SE-01', 'CO-07'],
      title: 'a session id that a client made up opens nothing',
      config: { session: { totalMax: 2, perPrincipalMax: 2, perTenantMax: 2 } },
      expect: { status: 404, code: 'SESSION_NOT_FOUND' },
    },
    Object.fromEntries(
      [made, 'x', '0', 'constructor', '__proto__', '../../etc/passwd', "' OR 1=1--", 'x'.repeat(10_000), '\u00e9'].map(
        (id): [string, AttackCase['send']] => [
          id.slice(0, 20),
          async (target) => {
            const session = await target.openSession('A.read')
            const answers = []
            for (let at = 0; at < 5; at++)
              answers.push(...(await Promise.all(all(target, renamed(session, id, 'A.read')))))
            // Two places there are in all: had one been taken by an attempt, the second session would not open.
            const second = await target.openSession('A.read')
            for (const each of [session, second]) expect((await target.send(each.end())).status).toBe(204)
            return answers
          },
        ],
      ),
    ),
  ),
  {
    id: 'O-072',
    area,
    requirement: ['SE-01'],
    title: 'an id that a client proposes is not the one it gets',
    send: async (target) => {
      const answer = await target.send(initialize('A.read', { headers: { 'Mcp-Session-Id': made } }))
      expect(answer.header('mcp-session-id')).toMatch(/^[A-Za-z0-9_-]{43}$/)
      expect(answer.header('mcp-session-id')).not.toBe(made)
      return answer
    },
    expect: { status: 200 },
  },
  {
    id: 'O-072',
    sub: 'of another',
    area,
    requirement: ['SE-01', 'SE-03'],
    title: 'proposing the id of an open session neither takes it over nor ends it',
    send: async (target) => {
      const session = await target.openSession('A.write')
      const answer = await target.send(initialize('B.write', { headers: { 'Mcp-Session-Id': session.id } }))
      expect(answer.header('mcp-session-id')).not.toBe(session.id)
      expect((await target.send(session.request('ping', {}, { as: 'B.write' }))).status).toBe(404)
      expect((await target.send(session.request('ping'))).status).toBe(200)
      return undefined
    },
  },
  ...each(
    {
      id: 'O-073',
      area,
      requirement: ['SE-05'],
      title: 'a session that is over is gone when it is next asked for',
      alone: true,
      expect: { status: 404, code: 'SESSION_NOT_FOUND' },
    },
    {
      ended: async (target) => {
        const session = await target.openSession('A.read')
        await target.send(session.end())
        return await Promise.all(all(target, session))
      },
      'idle for half an hour': async (target) => {
        const session = await target.openSession('A.read')
        target.advance(1_800_000 - 10_000)
        expect((await target.send(session.request('ping'))).status).toBe(200)
        target.advance(1_800_000)
        return await Promise.all(all(target, session))
      },
      'two hours old': async (target) => {
        const session = await target.openSession('A.read')
        for (let minutes = 20; minutes < 120; minutes += 20) {
          target.advance(20 * 60_000)
          expect((await target.send(session.request('ping'))).status).toBe(200)
        }
        target.advance(20 * 60_000)
        return await Promise.all(all(target, session))
      },
      'ended before a restart': async (target) => {
        const session = await target.openSession('A.read')
        await target.send(session.end())
        await target.restart()
        return await Promise.all(all(target, session))
      },
      'idle through a restart': async (target) => {
        const session = await target.openSession('A.read')
        await target.restart()
        target.advance(1_800_000)
        return await Promise.all(all(target, session))
      },
    },
  ),
  {
    id: 'X-190',
    area,
    requirement: ['SE-03', 'SE-05', 'SE-12'],
    title: 'a session goes on after a restart, bound to whom and pinned to what it was',
    alone: true,
    send: async (target) => {
      const session = await target.openSession('A.read')
      await target.restart()
      expect((await target.send(session.request('ping'))).status).toBe(200)
      expect((await target.send(session.request('ping', {}, { as: 'B.read' }))).status).toBe(404)
      const other = session.request('ping')
      const pinned = { ...other, headers: { ...other.headers, 'MCP-Protocol-Version': '2024-11-05' } }
      expect((await target.send(pinned)).status).toBe(400)
      return undefined
    },
  },
  {
    id: 'X-101',
    area,
    requirement: ['SE-05', 'EV-08', 'AU-09'],
    title: 'ending a session ends its streams and the calls in it',
    send: async (target) => {
      const session = await target.openSession('A.read')
      const stream = await target.begin(session.stream())
      await stream.begun()
      const running = await target.begin(session.request('tools/call', { name: 'slow', _meta: progress }))
      const { id } = (await running.messages(2)).messages[0]!
      expect((await target.send(session.end())).status).toBe(204)
      for (const each of [stream, running])
        await each.until(() => each.answers[0]?.complete === true, 'the end of a stream')
      return await target.send(session.stream(id))
    },
    expect: { status: 404, code: 'SESSION_NOT_FOUND' },
  },
  {
    id: 'O-074',
    area,
    requirement: ['SE-06', 'CO-17', 'RL-17'],
    title: 'sessions beyond a cap are refused; those that are open, and other principals, are not touched',
    alone: true,
    config: { session: { perPrincipalMax: 20, perTenantMax: 25, totalMax: 30 } },
    send: async (target) => {
      const first = await target.openSession('A.read')
      const openMany = async (as: Person) => {
        const statuses = []
        for (let at = 0; at < 40; at++) {
          const answer = await target.send(initialize(as))
          statuses.push(answer.status)
          if (answer.status !== 200) {
            expect(answer.code).toBe('SESSION_CAPACITY')
            expect(answer.header('retry-after')).toBe('30')
            expect(answer.header('mcp-session-id')).toBeUndefined()
          }
        }
        return statuses.filter((status) => status === 200).length
      }
      expect(await openMany('A.read')).toBe(19)
      expect(await openMany('A.write')).toBe(5)
      expect(await openMany('B.read')).toBe(5)
      expect((await target.send(first.request('ping'))).status).toBe(200)
      expect((await target.send(first.end())).status).toBe(204)
      expect(await openMany('B.write')).toBe(1)
      return undefined
    },
    expect: { ours: [503], audit: { code: 'SESSION_CAPACITY', success: false } },
  },
  {
    id: 'O-075',
    area,
    requirement: ['SE-01'],
    title:
      'session ids are 256 bits without a pattern: a thousand over the wire, and ten thousand of the method that draws them',
    alone: true,
    send: async (target) => {
      const connection = await target.connect('A.read')
      const bytes = target.bytesOf(initialize('A.read'))
      const told: string[] = []
      for (let at = 0; at < 1_000; at++) {
        connection.write(bytes, 'POST')
        told.push((await connection.answer(at))?.header('mcp-session-id') ?? '')
      }
      const room = { perPrincipal: 10_001, perTenant: 10_001, total: 10_001 }
      const dispatched = serverWith([], { sessionCaps: room })
      const session = dispatched.openSession()
      const drawn: string[] = []
      for (let at = 0; at < 10_000; at++) {
        const reply = await dispatched.send('initialize', { protocolVersion: '2025-11-25' }, { session })
        drawn.push(reply.headers.get('Mcp-Session-Id') ?? '')
      }
      for (const ids of [told, drawn]) holdRandom(ids)
      expect(new Set([...told, ...drawn]).size).toBe(11_000)
      return undefined
    },
  },
  {
    id: 'O-076',
    area,
    requirement: ['SE-11', 'CO-09'],
    title: 'a second stream of a session is refused, and the first goes on',
    send: async (target) => {
      const session = await target.openSession('A.read')
      const first = await target.begin(session.stream())
      await first.begun()
      const second = await target.send(session.stream())
      expect(first.answers[0]?.complete).toBe(false)
      expect(first.closed).toBe(false)
      return second
    },
    expect: {
      status: 409,
      code: 'STREAM_TAKEN',
      audit: { type: 'session_violation', success: false, code: 'STREAM_TAKEN' },
    },
  },
  {
    id: 'O-117',
    area,
    requirement: ['SE-07', 'RL-17', 'AL-07'],
    title: 'ten thousand openings without a credential are refused, and leave nothing behind',
    alone: true,
    config: { session: { totalMax: 1 } },
    send: async (target) => {
      const bytes = target.bytesOf(initialize(undefined))
      const connection = await target.connect()
      const batch = 10
      const round = async (times: number) => {
        for (let sent = 0; sent < times; sent += batch) {
          connection.answers.length = 0
          for (let at = 0; at < batch; at++) connection.write(bytes, 'POST')
          await connection.answer(batch - 1)
          for (const { status } of connection.answers) expect(status).toBe(401)
          target.answers.length = 0
          target.heard.length = 0
        }
      }
      setFlagsFromString('--expose-gc')
      const collect = runInNewContext('gc') as () => void
      const heap = () => {
        collect()
        return process.memoryUsage().heapUsed
      }
      await round(1_000)
      const start = heap()
      await round(10_000)
      // Ten thousand sessions would hold some 20 MB.
      expect(heap() - start).toBeLessThan(8 * 1_048_576)
      expect((await target.send(initialize('A.read'))).status).toBe(200)
      // Beyond a thousand a minute strangers are counted; the count is written when the minute is over, and is exact.
      target.advance(60_000)
      await round(batch)
      await target.settled(() => {
        const written = target.audit().filter(({ code }) => code === 'MISSING_API_KEY').length
        const counts = target.audit().filter(({ reason }) => reason === 'refusals-counted')
        expect(written).toBe(1_000 + batch)
        expect(counts.reduce((sum, { outcome }) => sum + Number(outcome), written)).toBe(11_000 + batch)
      })
      return undefined
    },
  },
  ...each(
    {
      id: 'O-118',
      area,
      requirement: ['SE-12'],
      title: 'a session keeps the revision it was opened with',
      expect: { status: 400, audit: { success: false } },
    },
    Object.fromEntries(
      ['2024-11-05', '2025-06-18', 'garbage', '', '2025-11-25, 2024-11-05'].map(
        (version): [string, AttackCase['send']] => [
          JSON.stringify(version),
          async (target) => {
            const session = await target.openSession('A.read')
            const ping = session.request('ping')
            const named = { ...ping.headers, 'MCP-Protocol-Version': version }
            return [
              await target.send({ ...ping, headers: named }),
              await target.send({ ...session.stream(), headers: named }),
              await target.send({ ...session.end(), headers: named }),
            ]
          },
        ],
      ),
    ),
  ),
  {
    id: 'X-102',
    area,
    requirement: ['SE-13'],
    title: 'a question is answered by the owner of the session, once, and by its own id',
    send: async (target) => {
      const session = await target.openSession('A.read', { capabilities: { elicitation: {} } })
      const running = await target.begin(
        session.request('tools/call', { name: 'ask', arguments: { about: 'it' } }, { id: 9 }),
      )
      const question = JSON.parse((await running.messages(1)).messages[0]!.data) as { id: string; method: string }
      expect(question.method).toBe('elicitation/create')
      expect(question.id.length).toBeGreaterThanOrEqual(22)
      const respond = (id: string | number, color: string, as: Person = 'A.read', to = session.id) =>
        target.send({
          as,
          headers: { 'Mcp-Session-Id': to },
          body: JSON.stringify({ jsonrpc: '2.0', id, result: { action: 'accept', content: { color } } }),
        })
      const other = await target.openSession('A.read')
      expect((await respond(question.id, 'stolen', 'B.read')).status).toBe(404)
      expect((await respond(question.id, 'stolen', 'A.write')).status).toBe(404)
      expect((await respond(question.id, 'stolen', 'A.read', other.id)).status).toBe(202)
      expect((await respond('constructor', 'stolen')).status).toBe(202)
      expect((await respond(9, 'stolen')).status).toBe(202)
      expect((await respond(question.id, 'blue')).status).toBe(202)
      expect((await respond(question.id, 'late')).status).toBe(202)
      expect((await running.answer())?.said).toBe('it is blue')
      return undefined
    },
  },
  {
    id: 'X-103',
    area,
    requirement: ['SE-09'],
    title: 'a session id in an address opens nothing',
    send: async (target) => {
      const session = await target.openSession('A.read')
      const { headers: _, ...ping } = session.request('ping')
      return [
        await target.send({ ...session.stream(), headers: {}, path: `/mcp?Mcp-Session-Id=${session.id}` }),
        await target.send({ ...session.end(), headers: {}, path: `/mcp?sessionId=${session.id}` }),
        await target.send({
          ...ping,
          body: ping.body!.toString().replace('ping', 'tools/list'),
          path: `/mcp?session=${session.id}`,
        }),
      ]
    },
    expect: { status: 400, code: 'SESSION_REQUIRED' },
  },
  {
    id: 'X-104',
    area,
    requirement: ['SE-04'],
    title: 'a session opened by an administrator gives no rights to the call of a lesser key',
    send: async (target) => {
      const session = await target.openSession('A.admin')
      return await target.send(session.request('tools/call', { name: 'admin_status' }, { as: 'A.limited' }))
    },
    expect: { status: 404, code: 'SESSION_NOT_FOUND' },
  },
  {
    id: 'X-105',
    area,
    requirement: ['SE-10'],
    title: 'where a client may not end its session, DELETE is not served',
    config: { session: { clientTermination: false } },
    send: async (target) => {
      const session = await target.openSession('A.read')
      const answer = await target.send(session.end())
      expect((await target.send(session.request('ping'))).status).toBe(200)
      return answer
    },
    expect: { status: 405, headers: { Allow: 'POST, GET, OPTIONS' } },
  },
  {
    id: 'X-106',
    area,
    requirement: ['CO-10', 'TR-19'],
    title: 'a server of 2026-07-28 alone has no GET, no DELETE and no initialize',
    config: { session: { enabled: false } },
    send: async (target) => {
      for (const verb of ['GET', 'DELETE']) {
        const answer = await target.send({ as: 'A.read', verb, headers: { 'Mcp-Session-Id': made } })
        expect([answer.status, answer.header('allow')]).toEqual([405, 'POST, OPTIONS'])
      }
      const opened = await target.send(initialize('A.read'))
      expect([opened.status, opened.rpc]).toEqual([400, -32022])
      expect((await target.send(call('tools/list', {}, { as: 'A.read' }))).status).toBe(200)
      return undefined
    },
  },
]
