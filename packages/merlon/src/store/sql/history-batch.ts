import type { Instant } from '../../call.ts'
import type { HistoryOwner, Mark } from '../../history/history-store.ts'
import type { DataKeys } from '../../sealing/data-keys.ts'
import type { RecordKey } from '../../sealing/record.ts'
import { reaching } from './database.ts'

/** An event on its way into the tables. */
export interface Waiting {
  readonly owner: HistoryOwner
  readonly stream: number
  readonly plain: Buffer
  readonly at: Instant
  readonly mark: Mark | undefined
  /** The name of this replica when it was asked for. */
  readonly writer: string | undefined
  readonly kept: (seq: number) => void
  readonly failed: (cause: unknown) => void
}

/** The events of one session in one commit. */
export interface Part {
  readonly owner: HistoryOwner
  readonly session: Buffer
  readonly key: RecordKey
  readonly events: Waiting[]
}

type Sealing = { readonly key: RecordKey } | { readonly cause: unknown }

/**
 * The events by their sessions, each with the key of its tenant. Those of a tenant whose key cannot be had fail here, and
 * nobody else's.
 */
export async function partsOf(
  batch: readonly Waiting[],
  keys: DataKeys,
  digest: (session: string) => Buffer,
): Promise<readonly Part[]> {
  const parts = new Map<string, Part>()
  // One that cannot be had is asked for once, however many of the tenant's sessions wait for it.
  const sealing = new Map<string, Sealing>()
  for (const event of batch) {
    const { id, tenant } = event.owner
    const part = parts.get(id)
    if (part !== undefined) {
      part.events.push(event)
      continue
    }
    let found = sealing.get(tenant)
    if (found === undefined) {
      found = await sealingOf(keys, tenant)
      sealing.set(tenant, found)
    }
    if ('cause' in found) event.failed(found.cause)
    else parts.set(id, { owner: event.owner, session: digest(id), key: found.key, events: [event] })
  }
  return [...parts.values()]
}

async function sealingOf(keys: DataKeys, tenant: string): Promise<Sealing> {
  try {
    return { key: await reaching(async () => keys.sealing(tenant, 'event')) }
  } catch (cause) {
    return { cause }
  }
}
