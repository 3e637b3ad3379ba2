import { setTimeout as wait } from 'node:timers/promises'
import { type FileLock, lockFile } from '../file-lock.ts'

const againMs = 50

/**
 * Lets one process write a log: two would break each other's chain. A command that is soon done is waited for; throws, in
 * words for the operator, where the other keeps it.
 */
export async function takeLogLock(path: string, waitMs: number): Promise<FileLock> {
  for (let waited = 0; ; waited += againMs) {
    const lock = lockFile(path)
    if (lock !== undefined) return lock
    if (waited >= waitMs) {
      throw new Error(
        'another process writes the audit log of this data folder, such as a server that runs; stop it, or name another folder with MERLON_STORE_FOLDER',
      )
    }
    await wait(againMs)
  }
}
