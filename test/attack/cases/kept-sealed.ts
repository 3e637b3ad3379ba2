import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { expect } from 'vitest'
import { ask } from '../../tokens/control-client.ts'
import { type AttackCase, each } from '../attack-case.ts'
import type { Answer, Connection, StreamEvent } from '../connection.ts'
import type { Session, Target } from '../harness.ts'
import { call, type Request } from '../request.ts'

const area = 'Crypto'

/** The database, open to somebody who should not be there. */
async function behind<T>(target: Target, act: (tables: Tables) => T | Promise<T>): Promise<T> {
  const database = new DatabaseSync(join(target.folder, '.merlon', 'merlon.db'), { timeout: 5_000 })
  database.exec('pragma synchronous = off')
  try {
    return await act(new Tables(database))
  } finally {
    database.close()
  }
}

type Row = Record<string, SQLInputValue> & { readonly sealed: Uint8Array }

class Tables {
  readonly #database: DatabaseSync

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  rows(table: string, order = 'rowid'): Row[] {
    return this.#database.prepare(`select rowid as row, * from ${table} order by ${order}`).all() as Row[]
  }

  /** Writes these columns of one row. */
  set(table: string, row: SQLInputValue, columns: Readonly<Record<string, SQLInputValue>>): void {
    const named = Object.keys(columns).map((name) => `${name} = ?`)
    const sql = `update ${table} set ${named.join(', ')} where rowid = ?`
    this.#database.prepare(sql).run(...Object.values(columns), row)
  }

  insert(table: string, { row: _number, ...columns }: Row): void {
    const names = Object.keys(columns)
    this.#database
      .prepare(`insert into ${table} (${names}) values (${names.map(() => '?')})`)
      .run(...Object.values(columns))
  }
}

/** Each spelling of the bytes that differs by one bit. */
function* flips(bytes: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Uint8Array.from(bytes)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    yield flipped
  }
}

/** What else is done to sealed bytes: O-081. */
function* maimed(bytes: Uint8Array): Generator<Uint8Array> {
  for (const cut of [0, 1, 12, 28, bytes.length - 12, bytes.length - 4, bytes.length - 1]) yield bytes.slice(0, cut)
  yield Uint8Array.from([...bytes, 0])
  yield new Uint8Array(bytes.length)
  // Wherever its nonce is, these twelve bytes are zero.
  for (let at = 0; at < 40; at++) yield Uint8Array.from(bytes).fill(0, at, at + 12)
}

/** Sends the same request again and again on one connection. */
class Asker {
  readonly #bytes: Buffer
  readonly #verb: string
  readonly #connection: Connection

  private constructor(connection: Connection, bytes: Buffer, verb: string) {
    this.#connection = connection
    this.#bytes = bytes
    this.#verb = verb
  }

  static async open(target: Target, request: Request): Promise<Asker> {
    return new Asker(await target.connect(request.as), target.bytesOf(request), request.verb ?? 'POST')
  }

  async ask(): Promise<Answer> {
    this.#connection.answers.length = 0
    this.#connection.write(this.#bytes, this.#verb)
    return (await this.#connection.answer()) ?? expect.unreachable('the connection was closed')
  }
}

/** The alert that tells of it, once it fires. */
async function alarmed(target: Target): Promise<void> {
  const socketPath = target.server.control.socket ?? expect.unreachable('no socket')
  await target.settled(async () => {
    const { body } = await ask({ socketPath }, 'GET', '/api/alerts')
    expect(body.items).toContainEqual(expect.objectContaining({ rule: 'sealed-unreadable' }))
  })
}

const isRefused = (answer: Answer, code: 'SESSION_NOT_FOUND' | 'HISTORY_LOST') => {
  expect([answer.code, answer.events]).toEqual([code, []])
}

const counted = async (target: Target, session: Session, to: number): Promise<readonly StreamEvent[]> => {
  const params = { name: 'count', arguments: { to }, _meta: { progressToken: 'p' } }
  return (await target.send(session.request('tools/call', params))).messages
}

/** A server that remembers nothing of the sessions that were opened before, as one that was just started. */
async function twoSessions(target: Target, second: 'A.read' | 'B.read') {
  const [mine, other] = [await target.openSession('A.read'), await target.openSession(second)]
  await target.restart()
  return { mine, other }
}

const unreadable = { type: 'crypto', success: false, level: 'error', reason: 'unreadable' } as const
const refused = { status: 404, code: 'SESSION_NOT_FOUND', audit: unreadable } as const

/** What can be done to the row of a session by somebody who has another one. */
const moves: Readonly<Record<string, (mine: Row, other: Row) => Record<string, SQLInputValue>>> = {
  'the text of the other': (_, { sealed }) => ({ sealed }),
  'the text and the number of the other': (_, { sealed, version }) => ({ sealed, version: version! }),
  'all of the other but its name': (_, { session: _named, listed: _listed, row: _row, ...rest }) => rest,
  'the tenant of the other': (_, { tenant }) => ({ tenant: `${tenant}` === 'tenant-a' ? 'tenant-b' : tenant! }),
  'a later end': ({ expires_at }) => ({ expires_at: Number(expires_at) + 3_600_000 }),
  'a next state': ({ version }) => ({ version: Number(version) + 1 }),
  'an earlier state': ({ version }) => ({ version: Number(version) - 1 }),
  'a principal that nobody withdraws': ({ principal }) => ({
    principal: (principal as Uint8Array).map((byte) => ~byte),
  }),
  'a credential that nobody withdraws': ({ credential }) => ({
    credential: (credential as Uint8Array).map((byte) => ~byte),
  }),
}

export const keptSealedCases: readonly AttackCase[] = [
  {
    id: 'O-081',
    sub: 'sessions',
    area,
    requirement: ['CR-01', 'SE-08'],
    title: 'a session opens with each of its bits as it was sealed, and with no other',
    alone: true,
    send: async (target) => {
      const { mine, other } = await twoSessions(target, 'A.read')
      const asker = await Asker.open(target, mine.request('ping'))
      const [row] = await behind(target, (tables) => tables.rows('sessions'))
      if (row === undefined) throw new Error('no row')
      const { tried, last } = await behind(target, async (tables) => {
        let tried = 0
        let last: Answer | undefined
        for (const sealed of [...flips(row.sealed), ...maimed(row.sealed)]) {
          tables.set('sessions', row['row']!, { sealed })
          last = await asker.ask()
          isRefused(last, 'SESSION_NOT_FOUND')
          tried++
        }
        tables.set('sessions', row['row']!, { sealed: row.sealed })
        return { tried, last }
      })
      expect(tried).toBeGreaterThan(2_000)
      await alarmed(target)
      // What was refused was refused for its bits.
      expect((await target.send(mine.request('ping'))).status).toBe(200)
      expect((await target.send(other.request('ping'))).status).toBe(200)
      return last
    },
    expect: refused,
  },
  ...(['A.read', 'B.read'] as const).flatMap((second) =>
    each(
      {
        id: 'O-082',
        area,
        requirement: ['CR-02', 'SE-08', 'AU-04'],
        title: 'what is kept of a session opens in its own place alone',
        alone: true,
        expect: refused,
      },
      Object.fromEntries(
        Object.entries(moves).map(([sub, move]): [string, AttackCase['send']] => [
          `${second === 'A.read' ? 'the same tenant' : 'across tenants'}, ${sub}`,
          async (target) => {
            const { mine, other } = await twoSessions(target, second)
            const [row, others] = await behind(target, (tables) => tables.rows('sessions'))
            await behind(target, (tables) => tables.set('sessions', row!['row']!, move(row!, others!)))
            const answers = [await target.send(mine.request('ping')), await target.send(mine.stream())]
            // Nor is it there for whoever holds the other one.
            const { status } = await target.send({ ...other.request('ping'), headers: { 'Mcp-Session-Id': mine.id } })
            expect(status).toBe(404)
            expect((await target.send(other.request('ping'))).status).toBe(200)
            return answers
          },
        ]),
      ),
    ),
  ),
  {
    id: 'X-212',
    area,
    requirement: ['CR-02', 'SE-05'],
    title: 'a session that was ended and is put back whole does not open, nor an older state of one',
    alone: true,
    config: { session: { perPrincipalMax: 2 } },
    send: async (target) => {
      const [ended, set] = [await target.openSession('A.read'), await target.openSession('A.read')]
      const before = await behind(target, (tables) => tables.rows('sessions'))
      expect((await target.send(ended.end())).status).toBe(204)
      await target.send(set.request('logging/setLevel', { level: 'error' }))
      await behind(target, (tables) => {
        tables.insert('sessions', before[0]!)
        const { sealed, version } = before[1]!
        tables.set('sessions', before[1]!['row']!, { sealed, version: version! })
      })
      const answers = [await target.send(ended.request('ping')), await target.send(ended.stream())]
      // Neither is listed, and what is in force is what was set.
      const socketPath = target.server.control.socket ?? expect.unreachable('no socket')
      expect((await ask({ socketPath }, 'GET', '/api/sessions')).body.items).toEqual([])
      expect((await target.send(set.request('ping'))).status).toBe(200)
      await alarmed(target)
      return answers
    },
    expect: refused,
  },
  {
    id: 'O-081',
    sub: 'events',
    area,
    requirement: ['CR-01', 'EV-06'],
    title: 'an event is delivered with each of its bits as it was sealed, and with no other',
    alone: true,
    send: async (target) => {
      const session = await target.openSession('A.read')
      const [first, second] = await counted(target, session, 3)
      const asker = await Asker.open(target, session.stream(first!.id))
      const rows = await behind(target, (tables) => tables.rows('history_events', 'seq'))
      const [history] = await behind(target, (tables) => tables.rows('histories'))
      const row = rows.at(-2)!
      let tried = 0
      await behind(target, async (tables) => {
        for (const sealed of [...flips(row.sealed), ...maimed(row.sealed)]) {
          tables.set('history_events', row['row']!, { sealed })
          isRefused(await asker.ask(), 'HISTORY_LOST')
          tried++
        }
        tables.set('history_events', row['row']!, { sealed: row.sealed })
        const salt = history!['salt'] as Uint8Array
        for (const flipped of flips(salt)) {
          tables.set('histories', history!['row']!, { salt: flipped })
          isRefused(await asker.ask(), 'HISTORY_LOST')
        }
        tables.set('histories', history!['row']!, { salt })
      })
      expect(tried).toBeGreaterThan(1_000)
      await alarmed(target)
      const whole = await target.send(session.stream(first!.id))
      expect(whole.messages[0]?.data).toBe(second!.data)
      return undefined
    },
    expect: { audit: unreadable },
  },
  {
    id: 'O-081',
    sub: 'what a stream answers',
    area,
    requirement: ['CR-01', 'EV-03', 'EV-06'],
    title: 'a stream is resumed with what it answers as it was sealed, and with nothing else',
    alone: true,
    send: async (target) => {
      const session = await target.openSession('A.read')
      const [first] = await counted(target, session, 3)
      await counted(target, session, 3)
      const asker = await Asker.open(target, session.stream(first!.id))
      const rows = await behind(target, (tables) => tables.rows('history_streams', 'rowid'))
      const [row, other] = rows as [Row, Row]
      await behind(target, async (tables) => {
        for (const sealed of [...flips(row.sealed), ...maimed(row.sealed), other.sealed]) {
          tables.set('history_streams', row['row']!, { sealed })
          isRefused(await asker.ask(), 'HISTORY_LOST')
        }
        // Without it nobody can decide who may have the answer.
        tables.set('history_streams', row['row']!, { sealed: null })
        isRefused(await asker.ask(), 'HISTORY_LOST')
        tables.set('history_streams', row['row']!, { sealed: row.sealed })
      })
      await alarmed(target)
      expect((await target.send(session.stream(first!.id))).messages).toHaveLength(3)
      return undefined
    },
    expect: { audit: unreadable },
  },
  ...each(
    {
      id: 'O-082',
      area,
      requirement: ['CR-02', 'EV-02', 'EV-06'],
      title: 'what is kept of an event is delivered in its own place alone',
      alone: true,
      expect: {
        status: 410,
        code: 'HISTORY_LOST',
        audit: [unreadable, { type: 'session_violation', success: false, code: 'HISTORY_LOST' }],
      },
    },
    Object.fromEntries(
      Object.entries({
        'the next event of the stream': ({ at, next }) => ({ row: at, sealed: next.sealed }),
        'the event before': ({ at, before }) => ({ row: at, sealed: before.sealed }),
        'an event of another stream': ({ at, stream }) => ({ row: at, sealed: stream.sealed }),
        'an event of another session': ({ at, session }) => ({ row: at, sealed: session.sealed }),
        'an event of another tenant': ({ at, tenant }) => ({ row: at, sealed: tenant.sealed }),
        'an event of another stream under its own number': ({ at, stream }) => ({ row: stream, stream: at['stream']! }),
        'an event of another session under its own number': ({ at, session }) => ({
          ...{ row: session, session: at['session']!, stream: at['stream']! },
          seq: 90,
        }),
        'an event of another tenant under its own number': ({ at, tenant }) => ({
          ...{ row: tenant, session: at['session']!, stream: at['stream']!, tenant: 'tenant-a' },
          seq: 90,
        }),
        'a later number': ({ next }) => ({ row: next, seq: 80 }),
      } satisfies Record<string, (events: Events) => { row: Row } & Record<string, unknown>>).map(
        ([sub, move]): [string, AttackCase['send']] => [
          sub,
          async (target) => {
            const mine = await target.openSession('A.read')
            const [first] = await counted(target, mine, 4)
            await counted(target, mine, 4)
            await counted(target, await target.openSession('A.read'), 4)
            await counted(target, await target.openSession('B.read'), 4)
            await behind(target, (tables) => {
              const { row, ...columns } = move(eventsOf(tables))
              tables.set('history_events', row['row']!, columns as Record<string, SQLInputValue>)
            })
            const answer = await target.send(mine.stream(first!.id))
            expect(answer.events).toEqual([])
            return answer
          },
        ],
      ),
    ),
  ),
  {
    id: 'X-213',
    area,
    requirement: ['CR-06', 'CR-02'],
    title: 'what one purpose sealed is nothing to another: an event is no session, nor a request state a cursor',
    alone: true,
    config: { limits: { pageSize: 2 } },
    send: async (target) => {
      const session = await target.openSession('A.read')
      await counted(target, session, 3)
      await target.restart()
      await behind(target, (tables) => {
        const [event] = tables.rows('history_events')
        tables.set('sessions', tables.rows('sessions')[0]!['row']!, { sealed: event!.sealed })
      })
      const cursor = (await target.send(call('tools/list', {}, { as: 'A.read' }))).message.result?.nextCursor
      const retry = { name: 'ask', arguments: { about: 'the sky' }, requestState: cursor, inputResponses: {} }
      const state = await target.send(
        call('tools/call', retry, { as: 'A.read', capabilities: { elicitation: { form: {} } } }),
      )
      expect(state.code).toBe('INVALID_REQUEST_STATE')
      return await target.send(session.request('ping'))
    },
    expect: refused,
  },
]

interface Events {
  readonly before: Row
  /** The event that a resume comes to. */
  readonly at: Row
  readonly next: Row
  readonly stream: Row
  readonly session: Row
  readonly tenant: Row
}

/** The events of four calls: two in one session, one in another, and one in another tenant. */
function eventsOf(tables: Tables): Events {
  const rows = tables.rows('history_events')
  // The first of a stream only says where it begins, and the second is the one that is resumed from.
  const [before, at, next] = rows.slice(1) as [Row, Row, Row]
  const nameOf = ({ session }: Row) => Buffer.from(session as Uint8Array).toString('hex')
  const mine = rows.filter((row) => nameOf(row) === nameOf(at))
  const others = rows.filter((row) => nameOf(row) !== nameOf(at))
  return {
    ...{ before, at, next },
    stream: mine.find(({ stream }) => stream !== at['stream'])!,
    session: others.find(({ tenant }) => tenant === 'tenant-a')!,
    tenant: others.find(({ tenant }) => tenant === 'tenant-b')!,
  }
}
