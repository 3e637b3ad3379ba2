import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/** Held until it is released, or its process ends in whatever way. */
export interface FileLock {
  release(): void
}

/**
 * Takes the lock of a file that holds nothing, or answers `undefined` where another has it. It is one of the system, so that
 * it cannot outlive its process.
 */
export function lockFile(path: string): FileLock | undefined {
  makeFile(path)
  const lock = new DatabaseSync(path)
  try {
    lock.exec('pragma busy_timeout = 0; pragma journal_mode = off; begin exclusive')
  } catch {
    lock.close()
    return undefined
  }
  return { release: () => lock.close() }
}

/** Makes the file, for its owner alone. One that is there is not opened: closing it would let go of a lock of this process. */
function makeFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
