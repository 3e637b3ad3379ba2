import { sql } from 'kysely'
import type { Instant, RandomBytes } from '../../call.ts'
import { Fault } from '../../errors.ts'
import { everyTenant } from '../../identity/reach.ts'
import {
  type Arrived,
  keptMs,
  type Letter,
  type MailBounds,
  type Mailbox,
  type Received,
  type Room,
} from '../../replica/mailbox.ts'
import { type DataKeys, familyKey } from '../../sealing/data-keys.ts'
import {
  keyIdOf,
  openRecord,
  type Place,
  type RecordKey,
  sealedOverheadBytes,
  sealRecord,
} from '../../sealing/record.ts'
import type { Act } from './acts.ts'
import { reaching, type SqlDatabase } from './database.ts'
import { actLightly, readWithin } from './row-security.ts'
import { hexOf } from './session-row.ts'

export interface MailboxParts {
  readonly database: SqlDatabase
  readonly keys: DataKeys
  /** Seals what belongs to no tenant. */
  readonly tenantless: RecordKey
  /** A keyed digest of 32 bytes: the id of a session is nowhere in the tables. */
  readonly digest: (text: string) => Buffer
  readonly random: RandomBytes
  readonly bounds: MailBounds
  /** Told of a letter that does not open: somebody has written to the tables, or a key is gone. */
  readonly onUnreadable: (what: { readonly tenant: string; readonly key: string | undefined }) => void
}

/** A letter with all that has to be asked for before its transaction. */
interface Stamped {
  readonly id: Buffer
  readonly tenant: string
  readonly session: Buffer | null
  readonly owner: Buffer | null
  readonly plain: Buffer
  readonly key: RecordKey
}

/** What is sealed: which session and which place it belongs to is not inside, and has to be right to open it. */
type Sealed = Pick<Received, 'news'> & { readonly binding?: string }

const idBytes = 16
const readAtOnce = 500
/** Of letters that belong to no tenant. */
const noTenant = ''

/**
 * Letters between replicas in the database that they share. One row counts them; it is locked from the numbering of a letter
 * to its commit, so that whoever has read up to a number has missed none below it.
 */
export class SqlMailbox implements Mailbox {
  readonly #parts: MailboxParts
  readonly #last: () => { value: number }[] | Promise<{ value: number }[]>

  constructor(parts: MailboxParts) {
    this.#parts = parts
    const { database } = parts
    this.#last = database.ready<{ value: number }>(
      sql<{ value: number }>`select value from mail_revision`.compile(database.db),
    )
  }

  nameOf(session: string): string {
    return hexOf(this.#parts.digest(session))
  }

  async leave(letters: readonly Letter[], now: Instant): Promise<void> {
    const stamped: Stamped[] = []
    for (const letter of letters) stamped.push(await this.#stamp(letter))
    await reaching(() => actLightly(this.#parts.database, (act) => this.#leave(act, stamped, now)))
  }

  async #stamp({ session, news }: Letter): Promise<Stamped> {
    const { keys, tenantless, digest, random } = this.#parts
    const sealed: Sealed = session === undefined ? { news } : { news, binding: session.binding }
    const plain = Buffer.from(JSON.stringify(sealed))
    if (session === undefined)
      return { id: random(idBytes), tenant: noTenant, session: null, owner: null, plain, key: tenantless }
    const name = digest(session.id)
    const key = familyKey(await keys.sealing(session.tenant, 'event'), name, 'mail')
    // The first answer to a question is the one, whoever has it.
    const id =
      news.kind === 'answer'
        ? digest(`answer\n${session.id}\n${JSON.stringify(news.id)}`).subarray(0, idBytes)
        : random(idBytes)
    const owner = digest(`owner\n${session.binding}`)
    return { id, tenant: session.tenant, session: name, owner, plain, key }
  }

  async #leave(act: Act, letters: readonly Stamped[], now: Instant): Promise<void> {
    const { bounds, random } = this.#parts
    let counts = await act
      .updateTable('mail_revision')
      .set({ value: sql<number>`value` })
      .returning(['value', 'held', 'bytes'])
      .executeTakeFirstOrThrow()
    const before = counts.value
    for (const letter of letters) {
      const { id, tenant, session, owner, plain, key } = letter
      if ((await act.selectFrom('mail').select('revision').where('id', '=', id).executeTakeFirst()) !== undefined)
        continue
      const revision = counts.value + 1
      const bytes = plain.length + sealedOverheadBytes
      if (isFull(bounds.inAll, { letters: counts.held, bytes: counts.bytes }, bytes)) throw full('mail')
      if (session !== null) await this.#checkRoom(act, letter, counts, bytes)
      const sealed = sealRecord(key, mailPlace(tenant, session, id, revision), plain, random)
      await act.insertInto('mail').values({ revision, id, tenant, session, at: now, sealed, owner }).execute()
      counts = { value: revision, held: counts.held + 1, bytes: counts.bytes + bytes }
    }
    if (counts.value > before) await act.updateTable('mail_revision').set(counts).execute()
  }

  /** Refuses one letter more about sessions of a principal, or of a tenant, that has its share. */
  async #checkRoom(
    act: Act,
    { session, owner, tenant }: Stamped,
    counts: { readonly held: number; readonly bytes: number },
    bytes: number,
  ): Promise<void> {
    const { bounds } = this.#parts
    const { rows } = await sql<Record<'session' | 'own' | 'ownBytes' | 'tenant' | 'tenantBytes', number>>`select
        count(*) filter (where session = ${session}) as "session",
        count(*) filter (where owner = ${owner}) as "own",
        coalesce(sum(length(sealed)) filter (where owner = ${owner}), 0) as "ownBytes",
        count(*) as "tenant",
        coalesce(sum(length(sealed)), 0) as "tenantBytes"
      from mail where tenant = ${tenant}`.execute(act)
    const held = rows[0]!
    if (Number(held.session) >= bounds.perSession) throw full('mail-of-session')
    if (isFull(bounds.perPrincipal, { letters: Number(held.own), bytes: Number(held.ownBytes) }, bytes))
      throw full('mail-of-principal')
    if (isFull(bounds.perTenant, { letters: Number(held.tenant), bytes: Number(held.tenantBytes) }, bytes))
      throw full('mail-of-tenant')
    const { rows: changes } = await sql<Room>`select count(*) as "letters", coalesce(sum(length(sealed)), 0) as "bytes"
      from mail where session is null`.execute(act)
    const { letters, bytes: changeBytes } = changes[0]!
    const ofSessions = { letters: counts.held - Number(letters), bytes: counts.bytes - Number(changeBytes) }
    if (isFull(bounds.ofSessions, ofSessions, bytes)) throw full('mail-of-sessions')
  }

  async revision(): Promise<number> {
    const [row] = await reaching(async () => this.#last())
    return row!.value
  }

  async after(revision: number, only?: 'changes'): Promise<Arrived> {
    // Looked at first: what is numbered up to here is there, and what comes meanwhile is for the next time.
    const last = await this.revision()
    if (last === revision) return { letters: [], revision, lost: false, more: false }
    // A counter that went back is a store put back from a backup.
    if (last < revision) return { letters: [], revision: last, lost: true, more: false }
    const rows = await reaching(() =>
      readWithin(this.#parts.database, everyTenant, (db) =>
        db
          .selectFrom('mail')
          .selectAll()
          .where('revision', '>', revision)
          .where('revision', '<=', last)
          .$if(only === 'changes', (mail) => mail.where('session', 'is', null))
          .orderBy('revision')
          .limit(readAtOnce)
          .execute(),
      ),
    )
    const more = rows.length === readAtOnce && rows.at(-1)!.revision < last
    const upTo = more ? rows.at(-1)!.revision : last
    const letters: Received[] = []
    for (const row of rows) {
      const letter = await this.#open(row)
      if (letter !== undefined) letters.push(letter)
    }
    return { letters, revision: upTo, lost: only === undefined && rows.length < upTo - revision, more }
  }

  async sweep(now: Instant): Promise<number> {
    return reaching(() =>
      actLightly(this.#parts.database, async (act) => {
        // In one order with those who leave something.
        await act.updateTable('mail_revision').set({ value: sql<number>`value` }).execute()
        const gone = await act
          .deleteFrom('mail')
          .where('at', '<', now - keptMs)
          .returning(sql<number>`length(sealed)`.as('bytes'))
          .execute()
        if (gone.length === 0) return 0
        const bytes = gone.reduce((sum, row) => sum + row.bytes, 0)
        await act
          .updateTable('mail_revision')
          .set({ held: sql<number>`held - ${gone.length}`, bytes: sql<number>`bytes - ${bytes}` })
          .execute()
        return gone.length
      }),
    )
  }

  async #open(row: {
    readonly revision: number
    readonly id: Uint8Array
    readonly tenant: string
    readonly session: Uint8Array | null
    readonly sealed: Uint8Array
  }): Promise<Received | undefined> {
    const { keys, tenantless, onUnreadable } = this.#parts
    const { revision, tenant } = row
    const sealed = Buffer.from(row.sealed)
    const session = row.session === null ? null : Buffer.from(row.session)
    const keyId = keyIdOf(sealed)
    const data = session === null || keyId === undefined ? undefined : await keys.opening(keyId, tenant, 'event')
    const key = session === null ? tenantless : data && familyKey(data, session, 'mail')
    const plain = key && openRecord(key, mailPlace(tenant, session, Buffer.from(row.id), revision), sealed)
    if (plain === undefined) {
      onUnreadable({ tenant, key: keyId })
      return undefined
    }
    const { news, binding } = JSON.parse(plain.toString('utf8')) as Sealed
    return (session === null ? { revision, news } : { revision, session: hexOf(session), binding, news }) as Received
  }
}

export function mailPlace(tenant: string, session: Buffer | null, id: Buffer, sequence: number): Place {
  const record = `${session === null ? '' : session.toString('hex')}/${id.toString('hex')}`
  return { tenant, type: 'mail', record, sequence }
}

function isFull(room: Room, held: Room, bytes: number): boolean {
  return held.letters >= room.letters || held.bytes + bytes > room.bytes
}

function full(reason: string): Fault {
  return new Fault('capacity.exceeded', { reason, retryAfterMs: 5_000 })
}
