import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { controlSocketOf, listens } from './control-socket.ts'
import { type FileLock, lockFile } from './file-lock.ts'

/**
 * The lock of whoever serves from a data folder, or does so for the time of a command: two would each keep sessions and
 * limits of their own. `undefined` while another process has it.
 */
export function takeServingLock(folder: string): FileLock | undefined {
  return lockFile(join(folder, 'serving.lock'))
}

/** The same. Throws, in words for the operator, where another process has it. */
export function lockForServing(folder: string): FileLock {
  const lock = takeServingLock(folder)
  if (lock === undefined) {
    throw new Error(
      `another server serves from ${folder}; stop it, or give this one a folder of its own with MERLON_STORE_FOLDER`,
    )
  }
  return lock
}

/** Longer than a command takes. */
const commandMs = 3_000
const againMs = 50

/** The same. A command that works without a server has the folder for a moment, and is waited for; a server keeps it, and has a socket. */
export async function waitForServing(folder: string): Promise<FileLock> {
  for (let waited = 0; ; waited += againMs) {
    try {
      return lockForServing(folder)
    } catch (error) {
      if (waited >= commandMs || (await listens(controlSocketOf(folder)))) throw error
    }
    await wait(againMs)
  }
}
