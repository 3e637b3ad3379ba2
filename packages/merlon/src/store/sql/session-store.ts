import { timingSafeEqual } from 'node:crypto'
import { sql } from 'kysely'
import type { Instant } from '../../call.ts'
import { everyTenant } from '../../identity/reach.ts'
import type {
  ListedSession,
  Session,
  SessionCaps,
  SessionChange,
  SessionPage,
  SessionReach,
  SessionStore,
  Withdrawals,
} from '../../session/session-store.ts'
import { reaching } from './database.ts'
import { type Remembered, RememberedSessions } from './remembered-sessions.ts'
import { actLightly, actWithin, readWithin } from './row-security.ts'
import {
  type Act,
  alive,
  dropSessions,
  leaveWord,
  newsSince,
  over,
  revisionOf,
  takePlaces,
  type Which,
  withdrawn,
  without,
} from './session-acts.ts'
import type { SessionParts } from './session-parts.ts'
import {
  agrees,
  isListedName,
  listedName,
  openersOf,
  openSession,
  type SealedSession,
  sealSession,
} from './session-row.ts'

/** A poll older than this no longer vouches for what is remembered. */
const trustMs = 1_000
/** How long what ended is told to other processes. */
const newsMs = 600_000
const rounds = 5

/**
 * Sessions in SQLite or PostgreSQL, sealed, named by keyed digests alone. Those in use are remembered, so that a call asks
 * no table: in one process for as long as it lives, beside others as long as a poll within the last second vouches.
 *
 * When a session was last used is written down now and then, at the latest after a tenth of the idle time: after a crash, or
 * seen from another process, a session may be taken to be unused for that much longer than it was.
 */
export class SqlSessionStore implements SessionStore {
  readonly #parts: SessionParts
  readonly #read: (digest: Uint8Array) => SealedSession[] | Promise<SealedSession[]>
  readonly #memory: RememberedSessions
  #revision: number | undefined
  #polledAt = Number.NEGATIVE_INFINITY

  constructor(parts: SessionParts) {
    this.#parts = parts
    this.#memory = new RememberedSessions(parts.rememberedMax ?? 20_000)
    const { database } = parts
    const marker = database.engine === 'postgres' ? sql.raw('$1') : sql.raw('?')
    this.#read = database.ready<SealedSession>(
      sql<SealedSession>`select * from sessions where session = ${marker}`.compile(database.db),
    )
  }

  async open(session: Session, caps: SessionCaps, now: Instant): Promise<'opened' | 'full'> {
    await this.#listen(now)
    const { keys, random, idleMs } = this.#parts
    const key = await keys.sealing(session.tenant, 'session')
    const digest = this.#parts.digest(session.id)
    const row = {
      session: digest,
      listed: listedName(random),
      tenant: session.tenant,
      ...openersOf(this.#digestOf, session),
      expires_at: session.expiresAt,
      used_at: now,
      ...sealSession(key, digest, session, 0, random),
    }
    const insert = async (act: Act): Promise<boolean> => {
      const room = await takePlaces(act, row, caps)
      if (room) await act.insertInto('sessions').values(row).execute()
      return room
    }
    let opened = await this.#act(insert)
    if (!opened) {
      // Sessions that are over hold no place; looking for them only when a cap is reached keeps this cheap.
      await this.flush()
      opened = await this.#drop(async (act) => {
        const dropped = await dropSessions(act, this.#parts.database.engine, now, over(now, idleMs))
        return [dropped, dropped.length > 0 && (await insert(act))]
      })
    }
    if (!opened) return 'full'
    this.#memory.put({ digest, session: { ...session }, state: 0, usedAt: now, notedAt: now })
    return 'opened'
  }

  find(id: string, binding: string, now: Instant): Session | undefined | Promise<Session | undefined> {
    const known = this.#memory.find(id)
    if (known !== undefined && this.#isTrusted(now)) {
      if (known.session.binding !== binding || now >= known.session.expiresAt) return undefined
      if (now < known.usedAt + this.#parts.idleMs) {
        this.#memory.use(known, now)
        return known.session
      }
      // Beside other processes it may have been used elsewhere meanwhile.
      if (!this.#parts.shared) return undefined
    }
    return this.#look(id, binding, now)
  }

  async update(id: string, change: SessionChange, now: Instant): Promise<void> {
    const { keys, random } = this.#parts
    const digest = this.#parts.digest(id)
    for (let round = 0; round < rounds; round++) {
      const row = await this.#row(digest)
      if (row === undefined || this.#isOver(row, now)) return
      const found = await this.#unseal(id, row)
      if (found === undefined) return
      const changed = typeof change === 'function' ? change(found) : change
      const key = await keys.sealing(found.tenant, 'session')
      const next = sealSession(key, digest, { ...found, ...changed }, row.version + 1, random)
      const done = await this.#act(async (act) => {
        const { numUpdatedRows } = await act
          .updateTable('sessions')
          .set(next)
          .where('session', '=', digest)
          .where('version', '=', row.version)
          .executeTakeFirst()
        if (numUpdatedRows === 0n) return false
        await leaveWord(act, [digest], 0, now)
        return true
      })
      if (!done) continue
      this.#parts.wake?.()
      this.#memory.sawState(id, digest, row.version + 1)
      const known = this.#memory.find(id)
      if (known !== undefined) Object.assign(known.session, changed)
      return
    }
  }

  async end(id: string, binding: string, now: Instant): Promise<boolean> {
    const known = this.#memory.find(id)
    if (known !== undefined) await this.#note([known])
    const digest = this.#parts.digest(id)
    const bound = this.#digestOf('binding', binding)
    const ended = await this.#endWhich(now, (rows) =>
      rows
        .where('session', '=', digest)
        .where('binding', '=', bound)
        .where('expires_at', '>', now)
        .where('used_at', '>', now - this.#parts.idleMs),
    )
    return ended > 0
  }

  async endWithdrawn(withdrawals: Withdrawals, now: Instant): Promise<number> {
    // Each by itself: two that end sessions at once would wait for each other.
    let ended = 0
    for (const which of withdrawn(withdrawals, this.#digestOf)) ended += await this.#endWhich(now, which)
    await this.#act((act) =>
      act
        .updateTable('session_revision')
        .set({ withdrawn: withdrawals.upTo })
        .where('withdrawn', '<', withdrawals.upTo)
        .execute(),
    )
    return ended
  }

  async withdrawnUpTo(): Promise<number> {
    const { database } = this.#parts
    return (await reaching(() => readWithin(database, everyTenant, revisionOf))).withdrawn
  }

  async sweep(now: Instant): Promise<number> {
    await this.flush()
    return this.#drop(async (act) => {
      await act
        .deleteFrom('session_news')
        .where('at', '<', now - newsMs)
        .execute()
      const dropped = await dropSessions(act, this.#parts.database.engine, now, over(now, this.#parts.idleMs))
      return [dropped, dropped.length]
    })
  }

  async list(reach: SessionReach, page: SessionPage, now: Instant): Promise<readonly ListedSession[]> {
    const { after, limit, principal, credential } = page
    if (after !== undefined && !isListedName(after)) return []
    const rows = await this.#seen(reach, now, (query) => {
      let rows = query
      if (after !== undefined) rows = rows.where('listed', '>', after)
      if (principal !== undefined) rows = rows.where('principal', '=', this.#digestOf('principal', principal))
      if (credential !== undefined) rows = rows.where('credential', '=', this.#digestOf('credential', credential))
      return rows.orderBy('listed').limit(limit)
    })
    const listed: ListedSession[] = []
    for (const row of rows) {
      const shown = await this.#show(row)
      if (shown !== undefined) listed.push(shown)
    }
    return listed
  }

  async findListed(reach: SessionReach, id: string, now: Instant): Promise<ListedSession | undefined> {
    const [row] = await this.#seen(reach, now, (query) => query.where('listed', '=', id))
    return row && this.#show(row)
  }

  async endListed(reach: SessionReach, id: string, now: Instant): Promise<boolean> {
    const [row] = await this.#seen(reach, now, (query) => query.where('listed', '=', id))
    if (row === undefined) return false
    return (await this.#endWhich(now, (rows) => rows.where('session', '=', row.session))) > 0
  }

  async count(now: Instant): Promise<number> {
    await this.flush()
    const { idleMs, database } = this.#parts
    return reaching(() =>
      readWithin(database, everyTenant, async (db) => {
        const rows = alive(db, now, idleMs).clearSelect()
        const { total } = await rows.select(({ fn }) => fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
        return Number(total)
      }),
    )
  }

  onOver(listener: (id: string) => void): void {
    this.#memory.onOver(listener)
  }

  /** Hears what other processes have ended or changed. Until it has, and a second after, each call asks the tables. */
  async poll(now: Instant): Promise<void> {
    const { database } = this.#parts
    const since = this.#revision
    const heard = await reaching(() => readWithin(database, everyTenant, (db) => newsSince(db, since)))
    // Two began at once: what came between them is for the next one.
    if (since === undefined && this.#revision !== undefined) return
    if (since !== undefined && heard.rows.length !== heard.value - since) {
      // A counter that went back is a store put back from a backup: nothing that is remembered need be so. Otherwise word was
      // taken away before it was heard here.
      if (heard.value < since) this.#memory.forgetAll()
      else this.#memory.doubtAll()
      const seen = this.#memory.seen()
      const gone = await reaching(() => readWithin(database, everyTenant, (db) => without(db, seen)))
      // What ends after this look is told by word that is still to be heard.
      for (const digest of gone) this.#memory.over(digest)
    }
    for (const { session, over } of heard.rows) {
      if (over === 1) this.#memory.over(session)
      else this.#memory.forget(session)
    }
    this.#revision = heard.value
    this.#polledAt = now
  }

  /** Before anything is remembered it must be known from where on news are heard: what was missed is never told again. */
  #listen = async (now: Instant) => this.#parts.shared && this.#revision === undefined && (await this.poll(now))

  /** Writes down when sessions were last used, of those where that is `lagMs` later than what is written. */
  flush(lagMs = 0): Promise<void> {
    return this.#note(this.#memory.unnoted(lagMs))
  }

  async #note(uses: readonly Remembered[]): Promise<void> {
    const noting = this.#memory.takeUnnoted(uses)
    if (noting.length === 0) return
    try {
      await this.#act(async (act) => {
        for (const { known, at } of noting) {
          await act
            .updateTable('sessions')
            .set({ used_at: at })
            .where('session', '=', known.digest)
            .where('used_at', '<', at)
            .execute()
        }
      })
    } catch (cause) {
      this.#memory.putBackUnnoted(noting)
      throw cause
    }
    for (const { known, at } of noting) known.notedAt = Math.max(known.notedAt, at)
  }

  #isTrusted(now: Instant): boolean {
    if (!this.#parts.shared) return true
    const age = now - this.#polledAt
    return age >= 0 && age <= trustMs
  }

  async peek(id: string, binding: string, now: Instant): Promise<Session | undefined> {
    return (await this.#written(id, binding, now))?.session
  }

  /** The session as its row is, if it is alive. */
  async #written(id: string, binding: string, now: Instant) {
    const row = await this.#row(this.#parts.digest(id))
    if (row === undefined || !timingSafeEqual(row.binding, this.#digestOf('binding', binding))) return undefined
    const known = this.#memory.find(id)
    const usedAt = Math.max(row.used_at, known?.usedAt ?? 0)
    if (this.#isOver({ ...row, used_at: usedAt }, now)) return undefined
    const session = await this.#unseal(id, row)
    return session === undefined || session.binding !== binding ? undefined : { session, row }
  }

  async #look(id: string, binding: string, now: Instant): Promise<Session | undefined> {
    await this.#listen(now)
    const { ends } = this.#memory
    const written = await this.#written(id, binding, now)
    if (written === undefined) return undefined
    const { session, row } = written
    if (ends !== this.#memory.ends) return session
    const digest = this.#parts.digest(id)
    const found = { digest, session, state: row.version, usedAt: row.used_at, notedAt: row.used_at }
    this.#memory.put(found)
    this.#memory.use(found, now)
    return session
  }

  async #row(digest: Uint8Array): Promise<SealedSession | undefined> {
    const [row] = await reaching(async () => this.#read(digest))
    return row
  }

  /** The session of a row, where it is as we wrote it, and as it was written last. */
  async #unseal(id: string, read: SealedSession): Promise<Session | undefined> {
    let row: SealedSession | undefined = read
    const floor = this.#memory.floorOf(row.session)
    // It may have been changed or ended since it was read.
    if (row.version < floor) row = await this.#row(row.session)
    if (row === undefined) return undefined
    const opened = await openSession(this.#parts.keys, row)
    if (opened.ok && agrees(this.#digestOf, row, opened.session) && row.version >= floor)
      return { id, ...opened.session }
    this.#parts.onUnreadable({ tenant: row.tenant, key: opened.ok ? undefined : opened.key })
    return undefined
  }

  async #show(row: SealedSession): Promise<ListedSession | undefined> {
    const opened = await this.#unseal('', row)
    if (opened === undefined) return undefined
    const { id: _unknown, ...session } = opened
    return { id: row.listed, session, usedAt: row.used_at }
  }

  #isOver({ expires_at, used_at }: SealedSession, now: Instant): boolean {
    return now >= expires_at || now >= used_at + this.#parts.idleMs
  }

  async #seen(
    reach: SessionReach,
    now: Instant,
    narrow: (query: ReturnType<typeof alive>) => ReturnType<typeof alive>,
  ): Promise<readonly SealedSession[]> {
    await this.flush()
    const { database, idleMs } = this.#parts
    const tenant = 'tenant' in reach ? reach.tenant : everyTenant
    return reaching(() =>
      readWithin(database, tenant, (db) => {
        const query = alive(db, now, idleMs)
        return narrow(tenant === everyTenant ? query : query.where('tenant', '=', tenant)).execute()
      }),
    )
  }

  /** Ends sessions for good: what somebody ended does not come back, not even after a power cut. */
  async #endWhich(now: Instant, which: Which): Promise<number> {
    const ended = await reaching(() =>
      actWithin(this.#parts.database, everyTenant, (act) => dropSessions(act, this.#parts.database.engine, now, which)),
    )
    for (const digest of ended) this.#memory.over(digest)
    if (ended.length > 0) this.#parts.wake?.()
    return ended.length
  }

  /** Runs an act that may drop sessions that are over, and tells of those once it is done. */
  async #drop<T>(act: (act: Act) => Promise<[readonly Uint8Array[], T]>): Promise<T> {
    const [dropped, answer] = await this.#act(act)
    for (const digest of dropped) this.#memory.over(digest)
    return answer
  }

  /** Each kind has digests of its own, and none of them is that of an id. */
  readonly #digestOf = (kind: 'binding' | 'principal' | 'credential', text: string): Buffer =>
    this.#parts.digest(`${kind}\n${text}`)

  #act<T>(act: (act: Act) => Promise<T>): Promise<T> {
    return reaching(() => actLightly(this.#parts.database, act))
  }
}
