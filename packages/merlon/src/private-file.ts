import { mkdirSync, type Stats, statSync } from 'node:fs'

/** Who may read and write: `0o600`. Zero where the bits of a mode say nothing about that. */
export function permissions({ mode }: Pick<Stats, 'mode'>): number {
  return process.platform === 'win32' ? 0 : mode & 0o777
}

/** Whether others than the owner can read or change what has these permissions. */
export function openToOthers(permissions: number): boolean {
  return (permissions & 0o077) !== 0
}

/**
 * Makes the data folder for its owner alone, unless it is there. Throws, with what to do, where others could put a file of
 * their own in the place of one in it.
 */
export function makeDataFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (permissions(statSync(folder)) & 0o022) {
    throw new Error(`others can write to the data folder ${folder}; run: chmod go-w ${folder}`)
  }
}
