import { mkdirSync, type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'

/** Who may read and write: `0o600`. Zero where the bits of a mode say nothing about that. */
export function permissions({ mode }: Pick<Stats, 'mode'>): number {
  return process.platform === 'win32' ? 0 : mode & 0o777
}

/** Whether others than the owner can read or change what has these permissions. */
export function openToOthers(permissions: number): boolean {
  return (permissions & 0o077) !== 0
}

/** What the system says of a file that holds a secret. */
export interface SecretFile {
  readonly mode: number
  /** The user it belongs to; absent where the system has none. */
  readonly owner?: number | undefined
  /** Whether it was mounted by itself in /run/secrets, as container engines do with a secret. */
  readonly mounted?: boolean
}

/** What is to be known of an open file before it is taken for a secret. */
export function secretFile(path: string, stats: Stats): SecretFile {
  const folder = dirname(path)
  return {
    mode: permissions(stats),
    owner: process.platform === 'win32' ? undefined : stats.uid,
    mounted: folder === '/run/secrets' && statSync(folder).dev !== stats.dev,
  }
}

/**
 * Whether others than those it was given to can read or change a secret. Beside files of the owner alone two kinds are
 * taken, which whoever runs the service set up and the service itself cannot change: a file of root's that one group may
 * read (a volume of Kubernetes with `fsGroup`, a credential of systemd), and one that a container engine mounted by itself in
 * /run/secrets, whose bits are those of the host: inside there is nobody else. What others can write is never taken.
 */
export function secretOpenToOthers({ mode, owner, mounted }: SecretFile, self = process.getuid?.()): boolean {
  if (!openToOthers(mode)) return false
  if ((mode & 0o022) !== 0) return true
  if (mounted === true) return false
  return !(owner === 0 && self !== 0 && (mode & 0o007) === 0)
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
