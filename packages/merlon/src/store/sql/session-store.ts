import { timingSafeEqual } from 'node:crypto'
import { sql } from 'kysely'
import type { Instant, RandomBytes } from '../../call.ts'
import { everyTenant } from '../../identity/reach.ts'
import type { DataKeys } from '../../sealing/data-keys.ts'
import type {
  ListedSession,
  Session,
  SessionCaps,
  SessionPage,
  SessionReach,
  SessionStore,
} from '../../session/session-store.ts'
import { reaching, type SqlDatabase } from './database.ts'
import { actLightly, actWithin, readWithin } from './row-security.ts'
import { type Act, alive, dropSessions, leaveWord, over, takePlaces, type Which } from './session-acts.ts'
import { hexOf, openSession, type SealedSession, sealSession } from './session-row.ts'

export interface SessionParts {
  readonly database: SqlDatabase
  readonly keys: DataKeys
  /** A keyed digest of 32 bytes: neither ids nor bindings are in the tables. */
  readonly digest: (text: string) => Buffer
  readonly random: RandomBytes
  readonly idleMs: number
  /** Whether other processes write to the same tables; if so `follow` has to run. */
  readonly shared: boolean
  readonly rememberedMax?: number
  /** Told of a session that does not open: somebody has written to the tables, or a key is gone. */
  readonly onUnreadable: (what: { readonly tenant: string; readonly key: string | undefined }) => void
}

/** A session that was used here lately. */
interface Remembered {
  readonly digest: Buffer
  readonly session: Session
  usedAt: Instant
  /** The use that the tables know of. */
  notedAt: Instant
}

/** A poll older than this no longer vouches for what is remembered. */
const trustMs = 1_000
/** How long what ended is told to other processes. */
const newsMs = 600_000
const rounds = 5
const listedBytes = 12
const listedPattern = /^ses_[0-9a-f]{24}$/

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
  readonly #known = new Map<string, Remembered>()
  readonly #idOf = new Map<string, string>()
  readonly #listeners: ((id: string) => void)[] = []
  /** Those used since it was last written down. */
  readonly #unnoted = new Set<Remembered>()
  #revision: number | undefined
  #polledAt = Number.NEGATIVE_INFINITY
  /** Moves with every end, so that a look that began before it does not remember what is over. */
  #ends = 0

  constructor(parts: SessionParts) {
    this.#parts = parts
    const { database } = parts
    const marker = database.engine === 'postgres' ? sql.raw('$1') : sql.raw('?')
    this.#read = database.ready<SealedSession>(
      sql<SealedSession>`select * from sessions where session = ${marker}`.compile(database.db),
    )
  }

  async open(session: Session, caps: SessionCaps, now: Instant): Promise<'opened' | 'full'> {
    const { keys, random, idleMs } = this.#parts
    const key = await keys.sealing(session.tenant, 'session')
    const digest = this.#parts.digest(session.id)
    const row = {
      session: digest,
      listed: `ses_${random(listedBytes).toString('hex')}`,
      tenant: session.tenant,
      binding: this.#bound(session.binding),
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
        const dropped = await dropSessions(act, now, over(now, idleMs))
        return [dropped, dropped.length > 0 && (await insert(act))]
      })
    }
    if (!opened) return 'full'
    this.#remember({ digest, session: { ...session }, usedAt: now, notedAt: now })
    return 'opened'
  }

  find(id: string, binding: string, now: Instant): Session | undefined | Promise<Session | undefined> {
    const known = this.#known.get(id)
    if (known !== undefined && this.#isTrusted(now)) {
      if (known.session.binding !== binding || now >= known.session.expiresAt) return undefined
      if (now < known.usedAt + this.#parts.idleMs) {
        this.#use(known, now)
        return known.session
      }
      // Beside other processes it may have been used elsewhere meanwhile.
      if (!this.#parts.shared) return undefined
    }
    return this.#look(id, binding, now)
  }

  async update(id: string, change: Partial<Pick<Session, 'logLevel' | 'subscriptions'>>, now: Instant): Promise<void> {
    const { keys, random } = this.#parts
    const digest = this.#parts.digest(id)
    for (let round = 0; round < rounds; round++) {
      const row = await this.#row(digest)
      if (row === undefined || this.#isOver(row, now)) return
      const found = await this.#unseal(id, row)
      if (found === undefined) return
      const key = await keys.sealing(found.tenant, 'session')
      const next = sealSession(key, digest, { ...found, ...change }, row.version + 1, random)
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
      const known = this.#known.get(id)
      if (known !== undefined) Object.assign(known.session, change)
      return
    }
  }

  async end(id: string, binding: string, now: Instant): Promise<boolean> {
    const known = this.#known.get(id)
    if (known !== undefined) await this.#note([known])
    const digest = this.#parts.digest(id)
    const bound = this.#bound(binding)
    const ended = await this.#endWhich(now, (rows) =>
      rows
        .where('session', '=', digest)
        .where('binding', '=', bound)
        .where('expires_at', '>', now)
        .where('used_at', '>', now - this.#parts.idleMs),
    )
    return ended > 0
  }

  async endBound(binding: string, now: Instant): Promise<number> {
    const bound = this.#bound(binding)
    return this.#endWhich(now, (rows) => rows.where('binding', '=', bound))
  }

  async sweep(now: Instant): Promise<number> {
    await this.flush()
    return this.#drop(async (act) => {
      await act
        .deleteFrom('session_news')
        .where('at', '<', now - newsMs)
        .execute()
      const dropped = await dropSessions(act, now, over(now, this.#parts.idleMs))
      return [dropped, dropped.length]
    })
  }

  async list(reach: SessionReach, { after, limit }: SessionPage, now: Instant): Promise<readonly ListedSession[]> {
    if (after !== undefined && !listedPattern.test(after)) return []
    const rows = await this.#seen(reach, now, (query) =>
      (after === undefined ? query : query.where('listed', '>', after)).orderBy('listed').limit(limit),
    )
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
        const { alive } = await db
          .selectFrom('sessions')
          .select((select) => select.fn.countAll<number>().as('alive'))
          .where('expires_at', '>', now)
          .where('used_at', '>', now - idleMs)
          .executeTakeFirstOrThrow()
        return Number(alive)
      }),
    )
  }

  onOver(listener: (id: string) => void): void {
    this.#listeners.push(listener)
  }

  /** Hears what other processes have ended or changed. Until it has, and a second after, each call asks the tables. */
  async poll(now: Instant): Promise<void> {
    const { database } = this.#parts
    const since = this.#revision
    const heard = await reaching(() =>
      readWithin(database, everyTenant, async (db) => {
        const { value } = await db.selectFrom('session_revision').select('value').executeTakeFirstOrThrow()
        if (since === undefined || since === value) return { value, rows: [] }
        const rows = await db
          .selectFrom('session_news')
          .select(['session', 'over'])
          .where('revision', '>', since)
          .where('revision', '<=', value)
          .execute()
        return { value, rows }
      }),
    )
    // A counter that went back is a store put back from a backup: nothing that is remembered need be so.
    if (since !== undefined && heard.value < since) this.#known.clear()
    for (const { session, over } of heard.rows) {
      const id = this.#idOf.get(hexOf(session))
      if (over === 1) this.#over(session)
      else if (id !== undefined) this.#known.delete(id)
    }
    this.#revision = heard.value
    this.#polledAt = now
  }

  /** Writes down when sessions were last used, of those where that is `lagMs` later than what is written. */
  flush(lagMs = 0): Promise<void> {
    return this.#note([...this.#unnoted].filter(({ usedAt, notedAt }) => usedAt - notedAt >= lagMs))
  }

  async #note(uses: readonly Remembered[]): Promise<void> {
    const noting = uses.filter((known) => this.#unnoted.delete(known)).map((known) => ({ known, at: known.usedAt }))
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
      for (const { known } of noting) this.#unnoted.add(known)
      throw cause
    }
    for (const { known, at } of noting) known.notedAt = Math.max(known.notedAt, at)
  }

  #use(known: Remembered, now: Instant): void {
    if (now <= known.usedAt) return
    known.usedAt = now
    this.#unnoted.add(known)
  }

  #isTrusted(now: Instant): boolean {
    if (!this.#parts.shared) return true
    const age = now - this.#polledAt
    return age >= 0 && age <= trustMs
  }

  async #look(id: string, binding: string, now: Instant): Promise<Session | undefined> {
    const ends = this.#ends
    const digest = this.#parts.digest(id)
    const row = await this.#row(digest)
    if (row === undefined || !timingSafeEqual(row.binding, this.#bound(binding))) return undefined
    const known = this.#known.get(id)
    const usedAt = Math.max(row.used_at, known?.usedAt ?? 0)
    if (this.#isOver({ ...row, used_at: usedAt }, now)) return undefined
    const session = await this.#unseal(id, row)
    if (session === undefined || session.binding !== binding) return undefined
    if (ends !== this.#ends) return session
    const found = { digest, session, usedAt: row.used_at, notedAt: row.used_at }
    this.#remember(found)
    this.#use(found, now)
    return session
  }

  async #row(digest: Buffer): Promise<SealedSession | undefined> {
    const [row] = await reaching(async () => this.#read(digest))
    return row
  }

  async #unseal(id: string, row: SealedSession): Promise<Session | undefined> {
    const opened = await openSession(this.#parts.keys, row)
    if (opened.ok) return { id, ...opened.session }
    this.#parts.onUnreadable({ tenant: row.tenant, key: opened.key })
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
      actWithin(this.#parts.database, everyTenant, (act) => dropSessions(act, now, which)),
    )
    for (const digest of ended) this.#over(digest)
    return ended.length
  }

  /** Runs an act that may drop sessions that are over, and tells of those once it is done. */
  async #drop<T>(act: (act: Act) => Promise<[readonly Uint8Array[], T]>): Promise<T> {
    const [dropped, answer] = await this.#act(act)
    for (const digest of dropped) this.#over(digest)
    return answer
  }

  #over(digest: Uint8Array): void {
    this.#ends++
    const name = hexOf(digest)
    const id = this.#idOf.get(name)
    if (id === undefined) return
    this.#idOf.delete(name)
    this.#known.delete(id)
    for (const listener of this.#listeners) listener(id)
  }

  #remember(entry: Remembered): void {
    const { rememberedMax = 20_000 } = this.#parts
    this.#known.set(entry.session.id, entry)
    this.#idOf.set(hexOf(entry.digest), entry.session.id)
    if (this.#known.size <= rememberedMax) return
    // The one that was looked up longest ago.
    for (const id of this.#known.keys()) {
      this.#known.delete(id)
      break
    }
  }

  #bound(binding: string): Buffer {
    return this.#parts.digest(`binding\n${binding}`)
  }

  #act<T>(act: (act: Act) => Promise<T>): Promise<T> {
    return reaching(() => actLightly(this.#parts.database, act))
  }
}
