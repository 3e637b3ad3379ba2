import type { Clock, RandomBytes } from './call.ts'
import type { Log } from './dispatch/services.ts'
import type { Installation } from './installation/installation.ts'
import { openSealing, type Sealing } from './installation/open-sealing.ts'
import type { DataKeys } from './sealing/data-keys.ts'
import { SqlDataKeyStore } from './store/sql/data-key-store.ts'
import type { SqlDatabase } from './store/sql/database.ts'
import { sealedEvents, sealedStreams } from './store/sql/sealed-history.ts'
import { sealedMail } from './store/sql/sealed-mail.ts'
import { SqlSealedRows } from './store/sql/sealed-rows.ts'
import { SqlSealedSessions } from './store/sql/sealed-sessions.ts'
import type { SqlSessionStore } from './store/sql/session-store.ts'

/** The keys of what is kept sealed in the database, and what changes them. `sessions` are those that are remembered here. */
export function openKeys(
  parts: {
    readonly installation: Installation
    readonly database: SqlDatabase
    readonly shared: boolean
    readonly log: Log
    readonly clock: Clock
    readonly random: RandomBytes
  },
  sessions: () => SqlSessionStore | undefined,
): Sealing & { readonly keys: DataKeys } {
  const { installation, database, shared, log, clock, random } = parts
  const store = new SqlDataKeyStore(database)
  const keys = installation.dataKeys(store)
  const common = { database, keys, random }
  const sealing = openSealing({
    ...{ store, keys, shared, clock, random, roots: installation.roots, recorder: installation.identity.recorder },
    records: [
      new SqlSealedSessions({ ...common, hear: (now) => sessions()?.poll(now) }),
      new SqlSealedRows(common, sealedEvents),
      new SqlSealedRows(common, sealedStreams),
      new SqlSealedRows(common, sealedMail),
    ],
    report: (what, cause) => log.error({ err: cause }, `${what} failed`),
  })
  return { ...sealing, keys }
}
