import { join } from 'node:path'
import { type FileLock, lockFile } from '../../file-lock.ts'

/** Held for as long as a process serves from a data folder. */
export type ServingLock = FileLock

/**
 * Lets one process serve from a data folder: two would each keep sessions and limits of their own. Throws, in words for the
 * operator, where another process has it.
 */
export function lockForServing(folder: string): ServingLock {
  const lock = lockFile(join(folder, 'serving.lock'))
  if (lock === undefined) {
    throw new Error(
      `another server serves from ${folder}; stop it, or give this one a folder of its own with MERLON_STORE_FOLDER`,
    )
  }
  return lock
}
