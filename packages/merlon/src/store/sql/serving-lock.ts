import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Held for as long as a process serves from a data folder. */
export interface ServingLock {
  release(): void
}

/**
 * Lets one process serve from a data folder: two would each keep sessions and limits of their own. The lock is one of the
 * system on a file that holds nothing, so that it ends with its process, however that ends. Throws, in words for the
 * operator, where another process has it.
 */
export function lockForServing(folder: string): ServingLock {
  const path = join(folder, 'serving.lock')
  closeSync(openSync(path, 'a', 0o600))
  const lock = new DatabaseSync(path)
  try {
    lock.exec('pragma busy_timeout = 0; pragma journal_mode = off; begin exclusive')
  } catch (cause) {
    lock.close()
    throw new Error(
      `another server serves from ${folder}; stop it, or give this one a folder of its own with MERLON_STORE_FOLDER`,
      {
        cause,
      },
    )
  }
  return { release: () => lock.close() }
}
