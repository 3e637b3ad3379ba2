import { setTimeout as wait } from 'node:timers/promises'
import type { Clock, RandomBytes } from '../call.ts'
import { every } from '../every.ts'
import type { Recorder } from '../identity/recorded.ts'
import type { DataKeyStore } from '../sealing/data-key-store.ts'
import type { DataKeys } from '../sealing/data-keys.ts'
import { EncryptionKeys, type RecordedChange } from '../sealing/encryption-keys.ts'
import { RootChange } from '../sealing/root-change.ts'
import type { OpenRoots } from '../sealing/root-place.ts'
import type { RootStore } from '../sealing/root-store.ts'
import type { SealedRecords } from '../sealing/sealed-records.ts'

export interface SealingParts {
  readonly store: DataKeyStore
  readonly keys: DataKeys
  readonly records: readonly SealedRecords[]
  readonly roots: OpenRoots & { readonly store: RootStore }
  readonly recorder: Recorder
  /** Whether other processes change the same keys. */
  readonly shared: boolean
  readonly clock: Clock
  readonly random: RandomBytes
  readonly report: (what: string, cause: unknown) => void
}

export interface Sealing {
  readonly encryptionKeys: EncryptionKeys
  readonly rootChange: RootChange
  /** Goes on with a change of the root key that was cut short, and begins to seal anew what replaced keys sealed, and to hear of keys that others destroyed. */
  follow(): void
  close(): Promise<void>
}

/** What another process destroyed is forgotten within this. */
const pollMs = 1_000
/** Goes on with what another process left, should that be killed. */
const attendMs = 60_000
/** Between two pages: what is sealed anew is in no hurry, and calls are. */
const pauseMs = 2

/** What changes the keys of what is kept sealed. Reads and writes nothing yet. */
export function openSealing(parts: SealingParts): Sealing {
  const { store, keys, records, roots, recorder, shared, clock, random, report } = parts
  const failed = (cause: unknown) => report('changing encryption keys', cause)
  const recorded: RecordedChange = (line, change) => recorder.change(line, change, { done: () => true })
  const rootChange = new RootChange({ ...roots, dataKeys: store, random, recorded })
  const encryptionKeys = new EncryptionKeys({
    ...{ store, keys, records, clock },
    recorded,
    pause: () => wait(pauseMs),
    report: failed,
  })
  let timers: readonly NodeJS.Timeout[] = []
  return {
    encryptionKeys,
    rootChange,
    follow() {
      rootChange.resume('server').catch(failed)
      encryptionKeys.attend()
      timers = [
        every(attendMs, () => encryptionKeys.attend(), failed),
        ...(shared ? [every(pollMs, () => keys.poll(), failed)] : []),
      ]
    },
    async close() {
      for (const timer of timers) clearInterval(timer)
      await encryptionKeys.close()
    },
  }
}
