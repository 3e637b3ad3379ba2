import { sql } from 'kysely'
import type { Clock } from '../../call.ts'
import { Fault } from '../../errors.ts'
import { type Replicas, replicaId } from '../../replica/replicas.ts'
import type { Act } from './acts.ts'
import { reaching, type SqlDatabase } from './database.ts'

export interface ReplicasParts {
  /** PostgreSQL: the clock that counts is its own. */
  readonly database: SqlDatabase
  /** Milliseconds that no setting of the clock moves. */
  readonly steadyClock: Clock
}

/** How often each says that it is there. */
export const beatMs = 750
/** Whoever said nothing for so long may be declared dead. */
export const silentMsMax = 2_500
/** A transaction that holds the row of a replica and does nothing for so long is ended by the database. */
const idleMsMax = 3_000

const databaseNow = sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`

/**
 * The processes on one PostgreSQL. Each keeps a row there for as long as it says that it lives; one that was silent is
 * declared dead by whoever asks, by deleting its row, and then writes nothing more under its name: what it writes is
 * fenced by that row. A process that finds itself declared dead tells
 * its listeners, and takes a new name.
 */
export class SqlReplicas implements Replicas {
  readonly #parts: ReplicasParts
  readonly #listeners = new Set<() => void>()
  readonly shared = true
  #self: string
  #beating: Promise<void> | undefined
  #beatAt: number
  /** Since when no beat was missed. */
  #steadySince: number
  #over = false

  private constructor(parts: ReplicasParts, self: string) {
    this.#parts = parts
    this.#self = self
    this.#beatAt = parts.steadyClock()
    this.#steadySince = this.#beatAt
  }

  /** Takes a name. */
  static async open(parts: ReplicasParts): Promise<SqlReplicas> {
    const replicas = new SqlReplicas(parts, replicaId())
    await replicas.#register(replicas.#self)
    return replicas
  }

  get self(): string {
    return this.#self
  }

  onCut(listener: () => void): () => void {
    const entry = () => listener()
    this.#listeners.add(entry)
    return () => this.#listeners.delete(entry)
  }

  /**
   * Says that this process lives. To be called every `beatMs`; while one call is open there is no second. Where it was
   * declared dead, it has a new name when this resolves.
   */
  beat(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = undefined
    })
    return this.#beating
  }

  /**
   * False for one that is not there, for good. One that was silent is declared dead by this, unless it writes at this moment
   * or this process has been silent itself: after an outage of the database nobody has been heard, and nobody is dead.
   */
  async isAlive(id: string): Promise<boolean> {
    if (id === this.#self) return true
    const { database } = this.#parts
    const maySilence = this.#parts.steadyClock() - this.#steadySince >= silentMsMax
    return reaching(async () => {
      if (maySilence) {
        // Not waited for: whoever holds it, as a commit does, is not dead yet.
        await sql`delete from replicas where id in (
          select id from replicas where id = ${id} and seen_at < ${databaseNow} - ${silentMsMax} for update skip locked)`.execute(
          database.db,
        )
      }
      const found = await database.db.selectFrom('replicas').select('id').where('id', '=', id).executeTakeFirst()
      return found !== undefined
    })
  }

  /** Declares dead all who were silent; answers how many. As careful as `isAlive`. */
  async sweep(): Promise<number> {
    const { database, steadyClock } = this.#parts
    if (steadyClock() - this.#steadySince < silentMsMax) return 0
    return reaching(async () => {
      const { numAffectedRows } = await sql`delete from replicas where id in (
        select id from replicas where id <> ${this.#self} and seen_at < ${databaseNow} - ${silentMsMax} for update skip locked)`.execute(
        database.db,
      )
      return Number(numAffectedRows ?? 0n)
    })
  }

  /**
   * Refuses, within its transaction, what the replica `writer` would write after it was declared dead, and keeps it from
   * being declared dead until the transaction is over.
   */
  readonly fence = async (act: Act, writer: string): Promise<void> => {
    const { rows } = await sql<{ id: string }>`
      select id, set_config('idle_in_transaction_session_timeout', ${String(idleMsMax)}, true)
      from replicas where id = ${writer} for key share`.execute(act)
    if (rows.length > 0) return
    // It is about to find out by itself; there is no reason to wait.
    if (writer === this.#self) void this.beat().catch(() => undefined)
    throw new Fault('store.unavailable', { reason: 'replica-dead' })
  }

  /** Gives the name up, so that nobody waits for this process to fall silent. */
  async close(): Promise<void> {
    this.#over = true
    await this.#beating?.catch(() => undefined)
    await reaching(() => this.#parts.database.db.deleteFrom('replicas').where('id', '=', this.#self).execute())
  }

  async #beat(): Promise<void> {
    if (this.#over) return
    const { database, steadyClock } = this.#parts
    const { numUpdatedRows } = await reaching(() =>
      database.db
        .updateTable('replicas')
        .set({ seen_at: databaseNow })
        .where('id', '=', this.#self)
        .executeTakeFirstOrThrow(),
    )
    const now = steadyClock()
    if (now - this.#beatAt >= silentMsMax / 2) this.#steadySince = now
    this.#beatAt = now
    if (numUpdatedRows === 0n) await this.#takeNewName()
  }

  /** Nothing can be written under the former name any more, nor under the next before its row is there. */
  async #takeNewName(): Promise<void> {
    const name = replicaId()
    await this.#register(name)
    for (const listener of this.#listeners) listener()
    this.#self = name
  }

  #register(name: string): Promise<unknown> {
    return reaching(() =>
      this.#parts.database.db.insertInto('replicas').values({ id: name, seen_at: databaseNow }).execute(),
    )
  }
}
