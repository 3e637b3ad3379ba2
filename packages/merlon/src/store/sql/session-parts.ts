import type { RandomBytes } from '../../call.ts'
import type { DataKeys } from '../../sealing/data-keys.ts'
import type { SqlDatabase } from './database.ts'

/** What sessions in a database are kept with. */
export interface SessionParts {
  readonly database: SqlDatabase
  readonly keys: DataKeys
  /** A keyed digest of 32 bytes: neither ids nor bindings are in the tables. */
  readonly digest: (text: string) => Buffer
  readonly random: RandomBytes
  readonly idleMs: number
  /** Whether other processes write to the same tables; if so `follow` has to run. */
  readonly shared: boolean
  /** Called when there is something for other processes to hear of. */
  readonly wake?: () => void
  readonly rememberedMax?: number
  /** Told of a session that does not open: somebody has written to the tables, or a key is gone. */
  readonly onUnreadable: (what: { readonly tenant: string; readonly key: string | undefined }) => void
}
