import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { everyTenant } from '../../identity/reach.ts'
import type { DataKeyStore } from '../../sealing/data-key-store.ts'
import { DataKeys } from '../../sealing/data-keys.ts'
import { drainMs, EncryptionKeys, type EncryptionKeysParts } from '../../sealing/encryption-keys.ts'
import type { SealedRecords } from '../../sealing/sealed-records.ts'
import { SqlDataKeyStore } from './data-key-store.ts'
import { openDatabase, type SqlDatabase, type SqlTarget } from './database.ts'
import { SqlHistoryStore } from './history-store.ts'
import { SqlMailbox } from './mailbox.ts'
import { actWithin } from './row-security.ts'
import { sealedEvents, sealedStreams } from './sealed-history.ts'
import { sealedMail } from './sealed-mail.ts'
import { SqlSealedRows } from './sealed-rows.ts'
import { SqlSealedSessions } from './sealed-sessions.ts'
import { SqlSessionStore } from './session-store.ts'
import { testPostgres } from './test-postgres.ts'

const folder = mkdtempSync(join(tmpdir(), 'merlon-encryption-keys-'))
const postgres = await testPostgres()
const root = createSecretKey(Buffer.alloc(32, 7))

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  if ('close' in postgres) await postgres.close()
})

type Parts = Pick<EncryptionKeysParts, 'store' | 'records'>

/** What one process has on the database. `wrap` stands between it and what it calls. */
function processOn(database: SqlDatabase, time: { now: number }, wrap: (parts: Parts) => Parts = (parts) => parts) {
  const store = new SqlDataKeyStore(database)
  const keys = new DataKeys({ store, root, random: randomBytes, clock: () => time.now })
  const unreadable: unknown[] = []
  const over: string[] = []
  const lines: unknown[] = []
  const failures: unknown[] = []
  const common = { database, keys, random: randomBytes }
  const digest = (text: string) => createHmac('sha256', 'test').update(text).digest()
  const kept = { ...common, digest, onUnreadable: (what: unknown) => unreadable.push(what) }
  const sessions = new SqlSessionStore({ ...kept, idleMs: 3_600_000, shared: false })
  sessions.onOver((id) => over.push(id))
  const bounds = { eventsMax: 1_000, historyMs: 3_600_000, bytesMax: 10_000_000 }
  const history = new SqlHistoryStore({ ...kept, bounds })
  const records = [
    new SqlSealedSessions({ ...common, hear: (now) => sessions.poll(now) }),
    new SqlSealedRows(common, sealedEvents),
    new SqlSealedRows(common, sealedStreams),
    new SqlSealedRows(common, sealedMail),
  ]
  const encryption = new EncryptionKeys({
    ...wrap({ store, records }),
    keys,
    recorded: async (line, change) => {
      lines.push(line)
      return change()
    },
    clock: () => time.now,
    pause: () => new Promise(setImmediate),
    report: (cause) => failures.push(cause),
  })
  const tenantless = { id: 'notices00000', key: createSecretKey(Buffer.alloc(32, 8)) }
  const room = { letters: 99, bytes: 9_999 }
  const mailbox = new SqlMailbox({
    ...kept,
    tenantless,
    bounds: { perSession: 9, perPrincipal: room, perTenant: room, ofSessions: room, inAll: room },
  })
  return { store, keys, sessions, history, mailbox, records, encryption, unreadable, over, lines, failures }
}

type Process = ReturnType<typeof processOn>

const caps = { perPrincipal: 10_000, perTenant: 10_000, total: 10_000 }
const ownerOf = (id: string, tenant = 'acme') => ({ id, tenant })

async function open({ sessions }: Process, id: string, time: { now: number }, tenant = 'acme'): Promise<void> {
  const session = {
    ...{ id, tenant, binding: `binding of ${tenant}`, principal: 'usr_1', credential: 'key_1', version: '2025-11-25' },
    client: { name: 'client', version: '1', capabilities: {} },
    ...{ openedAt: time.now, expiresAt: time.now + 7_200_000, logLevel: undefined, subscriptions: undefined },
  }
  expect(await sessions.open(session, caps, time.now)).toBe('opened')
}

const sealingOf = async ({ store }: Process, purpose: string, tenant = 'acme') =>
  (await store.list()).find((key) => key.purpose === purpose && key.tenant === tenant && !key.replacedAt)!

const total = (findings: Awaited<ReturnType<EncryptionKeys['verify']>>) =>
  Object.fromEntries(findings.map(({ id, records, unreadable }) => [id, [records, unreadable]]))

function suite(name: string, target: () => Promise<SqlTarget>): void {
  describe(`changing encryption keys: ${name}`, () => {
    let database: SqlDatabase | undefined
    const opened = async (wrap?: (parts: Parts) => Parts) => {
      database = await openDatabase(await target())
      const time = { now: 1_800_000_000_000 }
      return { database, time, ...processOn(database, time, wrap) }
    }
    afterEach(async () => {
      await database?.close()
      database = undefined
    })

    test('CR-05: a new key seals at once, the old one opens, and what it sealed is sealed anew', async () => {
      const world = await opened()
      const { time, sessions, history, encryption, store } = world
      for (let at = 0; at < 110; at++) await open(world, `session ${at}`, time)
      const seqs = await Promise.all(
        Array.from({ length: 120 }, (_, at) =>
          history.append(ownerOf(`session ${at % 3}`), 1, `event ${at}`, time.now),
        ),
      )
      const [oldSession, oldEvent] = [await sealingOf(world, 'session'), await sealingOf(world, 'event')]
      expect(await encryption.rotate({}, 'usr_boss')).toBe(2)
      const [session, event] = [await sealingOf(world, 'session'), await sealingOf(world, 'event')]
      expect([session.id, event.id]).not.toContain(oldSession.id)
      await open(world, 'after', time)
      expect(await sessions.find('session 7', 'binding of acme', time.now)).toMatchObject({ tenant: 'acme' })
      await encryption.settled()
      expect(total(await encryption.verify())).toEqual({
        [oldSession.id]: [0, 0],
        [oldEvent.id]: [0, 0],
        [session.id]: [111, 0],
        [event.id]: [120, 0],
      })
      const fresh = processOn(world.database, time)
      expect(await fresh.sessions.find('session 109', 'binding of acme', time.now)).toMatchObject({ tenant: 'acme' })
      const told = await fresh.history.after(ownerOf('session 2'), 1, 0, time.now)
      expect(told?.events.map(({ message }) => message)).toEqual(
        seqs.flatMap((_, at) => (at % 3 === 2 ? [`event ${at}`] : [])),
      )
      expect([...world.unreadable, ...fresh.unreadable, ...world.failures]).toEqual([])
      expect(world.lines).toEqual([{ action: 'encryption-key.rotate', by: 'usr_boss', tenant: undefined, detail: {} }])
      expect((await store.list()).length).toBe(4)
    })

    test('CR-05: only what is named is replaced, and nothing that is newer than the moment named', async () => {
      const world = await opened()
      const { time, encryption } = world
      await open(world, 'one', time)
      await open(world, 'two', time, 'other')
      await world.history.append(ownerOf('one'), 1, 'event', time.now)
      expect(await encryption.rotate({ tenant: 'acme', purpose: 'session' }, 'me')).toBe(1)
      expect(await encryption.rotate({ tenant: 'nobody' }, 'me')).toBe(0)
      time.now += 1_000
      const before = time.now
      expect(await encryption.rotate({ before }, 'me')).toBe(3)
      expect(await encryption.rotate({ before }, 'me')).toBe(0)
      await encryption.settled()
    })

    test('CR-05: a key that records need is not retired, and who asks is told how many and of what', async () => {
      const world = await opened()
      const { time, encryption, store } = world
      for (const id of ['one', 'two', 'three']) await open(world, id, time)
      const old = await sealingOf(world, 'session')
      expect(await encryption.retire(old.id, 'me')).toEqual({ ok: false, reason: 'sealing' })
      expect(await encryption.retire('nothing', 'me')).toEqual({ ok: false, reason: 'unknown' })
      // In the place of a rotation, so that nothing is sealed anew yet.
      await store.replace(world.keys.mint('acme', 'session'), old.id, time.now)
      expect(await encryption.retire(old.id, 'me')).toEqual({ ok: false, reason: 'early' })
      time.now += drainMs
      expect(await encryption.retire(old.id, 'me')).toEqual({ ok: false, reason: 'needed', needs: { sessions: 3 } })
      expect(await encryption.destroy(old.id, false, 'me')).toMatchObject({ reason: 'needed', needs: { sessions: 3 } })
      expect(world.lines).toEqual([])
      encryption.attend()
      await encryption.settled()
      expect(await encryption.retire(old.id, 'me')).toMatchObject({ ok: true, lost: {} })
      expect((await store.find(old.id))?.wrapped.length).toBe(0)
      expect(await encryption.retire(old.id, 'me')).toMatchObject({ ok: true, lost: {} })
      expect(world.lines).toHaveLength(1)
      expect((await encryption.verify()).every(({ unreadable }) => unreadable === 0)).toBe(true)
    })

    test('CR-05: without force no key is destroyed while what it sealed may be on its way; by force it is', async () => {
      const world = await opened()
      const { time, encryption, store } = world
      await open(world, 'one', time)
      await world.history.append(ownerOf('one'), 1, 'first', time.now)
      const [old, forced] = [await sealingOf(world, 'session'), await sealingOf(world, 'event')]
      await encryption.rotate({}, 'me')
      await encryption.settled()
      // Nothing needs it any more; another process may have asked for it just before.
      for (const wait of [0, drainMs - 1]) {
        time.now += wait
        expect(await encryption.destroy(old.id, false, 'me')).toEqual({ ok: false, reason: 'early' })
      }
      expect((await store.find(old.id))?.destroyedAt).toBeUndefined()
      expect(await encryption.destroy(forced.id, true, 'me')).toMatchObject({ ok: true })
      time.now += 1
      expect(await encryption.destroy(old.id, false, 'me')).toMatchObject({ ok: true, lost: {} })
      expect(await encryption.destroy(old.id, false, 'me')).toMatchObject({ ok: true, lost: {} })
    })

    test('CR-07: a key destroyed by force takes its records with it: sessions end, streams say what is missing', async () => {
      const world = await opened()
      const { time, encryption, sessions, history, over } = world
      await open(world, 'one', time)
      await open(world, 'two', time)
      await open(world, 'foreign', time, 'other')
      const seq = await history.append(ownerOf('foreign', 'other'), 1, 'first', time.now)
      await history.append(ownerOf('foreign', 'other'), 1, 'second', time.now)
      const key = await sealingOf(world, 'session')
      const event = await sealingOf(world, 'event', 'other')
      expect(await encryption.destroy(key.id, false, 'me')).toEqual({ ok: false, reason: 'sealing' })
      expect(await encryption.destroy(key.id, true, 'me')).toMatchObject({ ok: true, lost: { sessions: 2 } })
      expect(over.sort()).toEqual(['one', 'two'])
      expect(await sessions.find('one', 'binding of acme', time.now)).toBeUndefined()
      expect(await sessions.find('foreign', 'binding of other', time.now)).toMatchObject({ tenant: 'other' })
      expect(await encryption.destroy(event.id, true, 'me')).toMatchObject({ ok: true, lost: { events: 2 } })
      expect(await history.after(ownerOf('foreign', 'other'), 1, seq, time.now)).toBeUndefined()
      await open(world, 'one again', time)
      expect((await sealingOf(world, 'session')).id).not.toBe(key.id)
      await encryption.settled()
      const findings = await encryption.verify()
      expect(
        findings.every(({ unreadable, usable, state }) => unreadable === 0 && usable !== (state === 'destroyed')),
      ).toBe(true)
      expect(world.unreadable).toEqual([])
      expect(world.lines).toMatchObject([
        { action: 'encryption-key.destroy', tenant: 'acme', detail: { encryptionKey: key.id, sessions: 2 } },
        { action: 'encryption-key.destroy', tenant: 'other', detail: { encryptionKey: event.id, events: 2 } },
      ])
    })

    test('CR-07: what another process destroyed is forgotten here, and a look that was under way brings nothing back', async () => {
      const world = await opened()
      const { time, encryption, keys } = world
      const other = processOn(world.database, time)
      await open(world, 'one', time)
      const key = await sealingOf(world, 'session')
      expect(await other.keys.opening(key.id, 'acme', 'session')).toBeDefined()
      let forgotten = 0
      other.keys.onForgotten(() => forgotten++)
      await other.keys.poll()
      expect(forgotten).toBe(0)
      const looking = keys.opening(key.id, 'acme', 'session')
      await encryption.destroy(key.id, true, 'me')
      await looking
      expect(await keys.opening(key.id, 'acme', 'session')).toBeUndefined()
      await other.keys.poll()
      expect(forgotten).toBe(1)
      expect(await other.keys.opening(key.id, 'acme', 'session')).toBeUndefined()
      await encryption.settled()
    })

    test('CR-05: changes of a session while it is sealed anew are kept, and the row as it was does not come back', async () => {
      const world = await opened()
      const { time, encryption, sessions } = world
      const raw = <T>(act: Parameters<typeof actWithin<T>>[2]) => actWithin(world.database, everyTenant, act)
      for (let at = 0; at < 20; at++) await open(world, `session ${at}`, time)
      const before = await raw((db) => db.selectFrom('sessions').selectAll().execute())
      await encryption.rotate({}, 'me')
      await Promise.all(
        Array.from({ length: 10 }, (_, at) =>
          sessions.update(`session ${at}`, { subscriptions: new Set([`note:${at}`]) }, time.now),
        ),
      )
      await encryption.settled()
      const fresh = processOn(world.database, time)
      for (let at = 0; at < 20; at++) {
        const found = await fresh.sessions.find(`session ${at}`, 'binding of acme', time.now)
        expect([...(found?.subscriptions ?? [])]).toEqual(at < 10 ? [`note:${at}`] : [])
      }
      // The text as it was, in the row as it is.
      for (const { session, sealed } of before)
        await raw((db) => db.updateTable('sessions').set({ sealed }).where('session', '=', session).execute())
      const later = processOn(world.database, time)
      for (const name of ['session 3', 'session 15'])
        expect(await later.sessions.find(name, 'binding of acme', time.now)).toBeUndefined()
      expect(later.unreadable).toHaveLength(2)
    })

    test('CR-07: an event that was sealed anew still needs the salt of its history', async () => {
      const world = await opened()
      const { time, encryption, history } = world
      const raw = <T>(act: Parameters<typeof actWithin<T>>[2]) => actWithin(world.database, everyTenant, act)
      await history.append(ownerOf('one'), 1, 'event', time.now)
      await encryption.rotate({}, 'me')
      await encryption.settled()
      expect((await history.after(ownerOf('one'), 1, 0, time.now))?.events).toHaveLength(1)
      await raw((db) =>
        db
          .updateTable('histories')
          .set({ salt: randomBytes(16) })
          .execute(),
      )
      expect(await history.after(ownerOf('one'), 1, 0, time.now)).toBeUndefined()
      const [finding] = (await encryption.verify()).filter(({ unreadable }) => unreadable > 0)
      expect(finding).toMatchObject({ purpose: 'event', state: 'sealing', records: 1, unreadable: 1 })
    })

    test('CR-05: what streams answer and what replicas leave for each other is counted, sealed anew, and lost with its key', async () => {
      const world = await opened()
      const { time, encryption, history, mailbox } = world
      const owner = ownerOf('one')
      const from = await mailbox.revision()
      await history.append(owner, 5, 'first', time.now, { opens: { producer: 'a', about: '{"id":7}' } })
      await mailbox.leave(
        [
          { session: { ...owner, binding: 'b' }, news: { kind: 'cancel', request: 7 } },
          { news: { kind: 'change', change: { kind: 'tools' } } },
        ],
        time.now,
      )
      const old = await sealingOf(world, 'event')
      expect(await encryption.destroy(old.id, false, 'me')).toEqual({ ok: false, reason: 'sealing' })
      await encryption.rotate({}, 'me')
      await encryption.settled()
      const key = await sealingOf(world, 'event')
      expect(total(await encryption.verify())).toEqual({ [old.id]: [0, 0], [key.id]: [3, 0] })
      const reader = { reader: 'b', over: 'a', waitedMs: 0 }
      expect(await history.claim(owner, 5, 0, reader, time.now)).toMatchObject({ outcome: 'held', about: '{"id":7}' })
      expect((await mailbox.after(from)).letters.map(({ news }) => news.kind)).toEqual(['cancel', 'change'])
      expect(await encryption.destroy(key.id, true, 'me')).toMatchObject({
        lost: { events: 1, streams: 1, letters: 1 },
      })
      expect((await mailbox.after(from)).letters.map(({ news }) => news.kind)).toEqual(['change'])
      expect(await history.claim(owner, 5, 0, reader, time.now)).toEqual({ outcome: 'unknown' })
      await encryption.settled()
      expect((await encryption.verify()).every(({ records }) => records === 0)).toBe(true)
      expect(world.unreadable).toEqual([])
    })

    test('CR-02: a record that was changed, or names no key that there is, is told of, and kept', async () => {
      const world = await opened()
      const { time, encryption } = world
      const raw = <T>(act: Parameters<typeof actWithin<T>>[2]) => actWithin(world.database, everyTenant, act)
      await open(world, 'one', time)
      await open(world, 'two', time)
      const key = await sealingOf(world, 'session')
      const rows = await raw((db) => db.selectFrom('sessions').selectAll().execute())
      const [first, second] = rows.map(({ sealed }) => Buffer.from(sealed))
      first![40]! ^= 1
      second!.write('NoSuchKeyNow', 1, 'latin1')
      for (const [at, sealed] of [first, second].entries())
        await raw((db) =>
          db.updateTable('sessions').set({ sealed: sealed! }).where('session', '=', rows[at]!.session).execute(),
        )
      time.now++
      await encryption.rotate({}, 'me')
      await encryption.settled()
      expect(await encryption.verify()).toMatchObject([
        { id: key.id, state: 'replaced', usable: true, records: 1, unreadable: 1 },
        { state: 'sealing', usable: true, records: 0, unreadable: 0 },
        { id: 'NoSuchKeyNow', state: 'missing', usable: false, records: 1, unreadable: 1 },
      ])
      time.now += drainMs
      expect(await encryption.retire(key.id, 'me')).toMatchObject({ reason: 'needed', needs: { sessions: 1 } })
    })
  })
}

let files = 0
suite('sql on SQLite', async () => ({ file: join(folder, `keys-${files++}.db`) }))

if ('reason' in postgres) describe.skip(`changing encryption keys: PostgreSQL: ${postgres.reason}`, () => undefined)
else suite('sql on PostgreSQL', async () => ({ databaseUrl: await postgres.database() }))

describe('CR-05: a crash at any step', () => {
  /** Lets so many calls through, and none after them: what a killed process would have done. */
  function cutAfter(calls: { left: number }) {
    const guarded = <Verbs extends object>(verbs: Verbs): Verbs =>
      new Proxy(verbs, {
        get(object, name) {
          const verb = Reflect.get(object, name, object) as unknown
          if (typeof verb !== 'function') return verb
          return async (...given: unknown[]) => {
            if (calls.left-- <= 0) throw new Error('cut')
            return Reflect.apply(verb, object, given)
          }
        },
      })
    return ({ store, records }: Parts): Parts => ({
      store: guarded<DataKeyStore>(store),
      records: records.map((each) => guarded<SealedRecords>(each)),
    })
  }

  test('loses nothing, and who asks again gets to the end', async () => {
    const database = await openDatabase({ file: join(folder, 'cut.db') })
    const time = { now: 1_800_000_000_000 }
    const first = processOn(database, time)
    for (let at = 0; at < 4; at++) await open(first, `session ${at}`, time, `tenant ${at % 2}`)
    await first.history.append(ownerOf('session 0', 'tenant 0'), 1, 'event', time.now)
    let steps = 0
    for (let cut = 1; ; cut++) {
      time.now += drainMs + 1
      const before = time.now
      const calls = { left: cut }
      const killed = processOn(database, time, cutAfter(calls))
      const asked = await killed.encryption.rotate({ before }, 'me').catch(() => undefined)
      await killed.encryption.settled()
      const whole = asked !== undefined && killed.failures.length === 0
      // Nothing is lost at any moment.
      const findings = await processOn(database, time).encryption.verify()
      expect(findings.reduce((sum, { records }) => sum + records, 0)).toBe(5)
      expect(findings.filter(({ unreadable }) => unreadable > 0)).toEqual([])
      // The next process goes on.
      const next = processOn(database, time)
      await next.encryption.rotate({ before }, 'me')
      await next.encryption.settled()
      expect((await next.store.list()).filter((key) => !key.replacedAt && key.createdAt < before)).toEqual([])
      expect(
        (await next.encryption.verify()).filter(({ state, records }) => state !== 'sealing' && records > 0),
      ).toEqual([])
      steps = cut
      if (whole) break
    }
    // More steps than there are keys and records, so that it was cut within each.
    expect(steps).toBeGreaterThan(8)
    await database.close()
  })

  test('loses nothing of what a forced destruction leaves, and ends the rest when it goes on', async () => {
    let steps = 0
    for (let cut = 1; ; cut++) {
      const database = await openDatabase({ file: join(folder, `destroy-${cut}.db`) })
      const time = { now: 1_800_000_000_000 }
      const first = processOn(database, time)
      for (const tenant of ['acme', 'other']) await open(first, `session of ${tenant}`, time, tenant)
      const key = await sealingOf(first, 'session')
      const killed = processOn(database, time, cutAfter({ left: cut }))
      const asked = await killed.encryption.destroy(key.id, true, 'me').catch(() => undefined)
      await killed.encryption.settled()
      const next = processOn(database, time)
      const row = await next.store.find(key.id)
      if (row?.destroyedAt !== undefined) {
        // As at a start.
        next.encryption.attend()
        await next.encryption.settled()
      } else expect(await next.encryption.destroy(key.id, true, 'me')).toMatchObject({ ok: true })
      await next.encryption.settled()
      expect(await next.sessions.find('session of acme', 'binding of acme', time.now)).toBeUndefined()
      expect(await next.sessions.find('session of other', 'binding of other', time.now)).toBeDefined()
      expect((await next.encryption.verify()).filter(({ unreadable }) => unreadable > 0)).toEqual([])
      await database.close()
      steps = cut
      if (asked !== undefined && killed.failures.length === 0) break
    }
    expect(steps).toBeGreaterThan(5)
  })
})
