import { type Kysely, sql } from 'kysely'
import type { Instant, RandomBytes } from '../../call.ts'
import { everyTenant } from '../../identity/reach.ts'
import { type DataKeys, familyKey } from '../../sealing/data-keys.ts'
import { keyHeadBytes, keyIdIn, keyIdOf, openRecord, type Place, sealRecord } from '../../sealing/record.ts'
import type { SealedRecord, SealedRecords } from '../../sealing/sealed-records.ts'
import type { Act } from './acts.ts'
import { reaching, type SqlDatabase } from './database.ts'
import { actLightly, actWithin, readWithin } from './row-security.ts'
import type { Tables } from './tables.ts'

export interface SealedParts {
  readonly database: SqlDatabase
  readonly keys: DataKeys
  readonly random: RandomBytes
}

/** The first bytes of what is sealed in a row: enough to tell which key did it. */
export const head = sql<Uint8Array>`substr(sealed, 1, ${sql.lit(keyHeadBytes)})`.as('head')

/** A row as it is kept: what is sealed, where it belongs, and what its key is made with. */
export interface KeptRow {
  readonly tenant: string
  readonly sealed: Uint8Array
  readonly place: Place
  readonly salt: Uint8Array
}

/** A table whose rows are sealed with keys that are made of the data key for events. */
export interface SealedTable<Row> {
  /** What a person calls its rows. */
  readonly kind: string
  readonly family: Parameters<typeof familyKey>[2]
  /** Those that follow a row, or the first, in the order of their places. */
  page(
    db: Kysely<Tables>,
    after: Row | undefined,
    limit: number,
  ): Promise<readonly (Row & { readonly head: Uint8Array | null; readonly tenant: string })[]>
  find(db: Kysely<Tables>, row: Row): Promise<KeptRow | undefined>
  /** Puts `anew` in the place of `sealed`, if that is what is there. */
  put(act: Act, row: Row, sealed: Uint8Array, anew: Buffer): Promise<bigint>
  /** Answers how many there were. */
  drop(act: Act, rows: readonly Row[], now: Instant): Promise<number>
}

/** The rows of a table, for those who change keys. */
export class SqlSealedRows<Row> implements SealedRecords {
  readonly kind: string
  readonly purpose = 'event'
  readonly #parts: SealedParts
  readonly #table: SealedTable<Row>

  constructor(parts: SealedParts, table: SealedTable<Row>) {
    this.#parts = parts
    this.#table = table
    this.kind = table.kind
  }

  page(after: (Row & SealedRecord) | undefined, limit: number): Promise<readonly (Row & SealedRecord)[]> {
    return reaching(() =>
      readWithin(this.#parts.database, everyTenant, async (db) => {
        const rows = await this.#table.page(db, after, limit)
        return rows.map((row) => ({ ...row, key: row.head === null ? undefined : keyIdIn(Buffer.from(row.head)) }))
      }),
    )
  }

  async check(record: Row & SealedRecord): Promise<'opens' | 'unreadable' | 'gone'> {
    const kept = await this.#find(record)
    if (kept === undefined) return 'gone'
    return (await this.#open(kept)) === undefined ? 'unreadable' : 'opens'
  }

  /** In its place and with the salt it had, so that deleting that still makes it unreadable. */
  async reseal(record: Row & SealedRecord): Promise<'resealed' | 'unreadable' | 'gone'> {
    const { database, keys, random } = this.#parts
    const kept = await this.#find(record)
    if (kept === undefined) return 'gone'
    const plain = await this.#open(kept)
    if (plain === undefined) return 'unreadable'
    const data = await keys.sealing(kept.tenant, this.purpose)
    const anew = sealRecord(familyKey(data, Buffer.from(kept.salt), this.#table.family), kept.place, plain, random)
    const count = await reaching(() => actLightly(database, (act) => this.#table.put(act, record, kept.sealed, anew)))
    return count === 1n ? 'resealed' : 'gone'
  }

  drop(records: readonly (Row & SealedRecord)[], now: Instant): Promise<number> {
    return reaching(() => actWithin(this.#parts.database, everyTenant, (act) => this.#table.drop(act, records, now)))
  }

  #find(record: Row): Promise<KeptRow | undefined> {
    return reaching(() => readWithin(this.#parts.database, everyTenant, (db) => this.#table.find(db, record)))
  }

  async #open({ tenant, sealed, place, salt }: KeptRow): Promise<Buffer | undefined> {
    const bytes = Buffer.from(sealed)
    const id = keyIdOf(bytes)
    const data = id === undefined ? undefined : await this.#parts.keys.opening(id, tenant, this.purpose)
    return data && openRecord(familyKey(data, Buffer.from(salt), this.#table.family), place, bytes)
  }
}
