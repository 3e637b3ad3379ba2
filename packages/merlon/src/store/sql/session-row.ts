import { timingSafeEqual } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { Client, Instant, LogLevel, RandomBytes } from '../../call.ts'
import type { DataKeys } from '../../sealing/data-keys.ts'
import { keyIdOf, openRecord, type Place, type RecordKey, sealRecord } from '../../sealing/record.ts'
import type { Session } from '../../session/session-store.ts'
import type { Tables } from './tables.ts'

export type SealedSession = Selectable<Tables['sessions']>

/** What is sealed. The end is in the clear too, to be swept by; the two have to agree. */
interface Sealed {
  readonly binding: string
  readonly principal: string
  readonly credential: string
  readonly version: string
  readonly client: Client
  readonly openedAt: Instant
  readonly expiresAt: Instant
  readonly logLevel?: LogLevel
  readonly subscriptions?: readonly string[]
}

/** The session as the `state`th state of its row. */
export function sealSession(
  key: RecordKey,
  digest: Buffer,
  session: Session,
  state: number,
  random: RandomBytes,
): Pick<SealedSession, 'version' | 'sealed'> {
  const { binding, principal, credential, version, client, openedAt, expiresAt, logLevel, subscriptions } = session
  const plain: Sealed = {
    binding,
    principal,
    credential,
    version,
    client,
    openedAt,
    expiresAt,
    ...(logLevel === undefined ? {} : { logLevel }),
    ...(subscriptions === undefined ? {} : { subscriptions: [...subscriptions] }),
  }
  const place = placeOf(session.tenant, digest, state)
  return { version: state, sealed: sealRecord(key, place, Buffer.from(JSON.stringify(plain)), random) }
}

export type Opened =
  | { readonly ok: true; readonly session: Omit<Session, 'id'> }
  /** The key that the record names, if it names one. */
  | { readonly ok: false; readonly key: string | undefined }

/** The session, unless the row was written to by somebody else or its key is gone. */
export async function openSession(keys: DataKeys, row: SealedSession): Promise<Opened> {
  const sealed = Buffer.from(row.sealed)
  const id = keyIdOf(sealed)
  const key = id === undefined ? undefined : await keys.opening(id, row.tenant, 'session')
  const plain = key && openRecord(key, placeOf(row.tenant, row.session, row.version), sealed)
  if (plain === undefined) return { ok: false, key: id }
  const { subscriptions, logLevel, client, ...rest } = JSON.parse(plain.toString('utf8')) as Sealed
  if (rest.expiresAt !== row.expires_at) return { ok: false, key: id }
  return {
    ok: true,
    session: {
      ...rest,
      tenant: row.tenant,
      client: { name: client.name, version: client.version, capabilities: client.capabilities },
      logLevel,
      subscriptions: subscriptions && new Set(subscriptions),
    },
  }
}

/** The row as its next state, the same text sealed with the key that seals now; undefined where it does not open. */
export async function resealSession(
  keys: DataKeys,
  row: SealedSession,
  random: RandomBytes,
): Promise<Pick<SealedSession, 'version' | 'sealed'> | undefined> {
  const sealed = Buffer.from(row.sealed)
  const id = keyIdOf(sealed)
  const key = id === undefined ? undefined : await keys.opening(id, row.tenant, 'session')
  const plain = key && openRecord(key, placeOf(row.tenant, row.session, row.version), sealed)
  if (plain === undefined) return undefined
  const version = row.version + 1
  const next = await keys.sealing(row.tenant, 'session')
  return { version, sealed: sealRecord(next, placeOf(row.tenant, row.session, version), plain, random) }
}

function placeOf(tenant: string, digest: Uint8Array, sequence: number): Place {
  return { tenant, type: 'session', record: hexOf(digest), sequence }
}

/** A digest of what opened a session: each kind has its own. */
export type DigestOf = (kind: 'binding' | 'principal' | 'credential', text: string) => Buffer

/** What is told in the clear of who opened a session. */
export function openersOf(
  digestOf: DigestOf,
  { binding, principal, credential }: Pick<Session, 'binding' | 'principal' | 'credential'>,
) {
  return {
    binding: digestOf('binding', binding),
    principal: digestOf('principal', principal),
    credential: digestOf('credential', credential),
  }
}

/** Whether what is told of it in the clear is what is sealed. */
export function agrees(digestOf: DigestOf, row: SealedSession, session: Omit<Session, 'id'>): boolean {
  const { binding, principal, credential } = openersOf(digestOf, session)
  return (
    timingSafeEqual(row.binding, binding) &&
    timingSafeEqual(row.principal, principal) &&
    timingSafeEqual(row.credential, credential)
  )
}

const listedBytes = 12

/** A name for administrators: tells nothing of the id that the client holds. */
export function listedName(random: RandomBytes): string {
  return `ses_${random(listedBytes).toString('hex')}`
}

export function isListedName(text: string): boolean {
  return /^ses_[0-9a-f]{24}$/.test(text)
}

export function hexOf(digest: Uint8Array): string {
  return Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength).toString('hex')
}
