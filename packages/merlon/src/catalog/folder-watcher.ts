import { type FSWatcher, lstatSync, readdirSync, watch } from 'node:fs'
import { basename, join, relative, sep } from 'node:path'

/** Tells of changes below a folder: `path` is relative to it, or `undefined` where the system does not say. */
export type FolderWatcher = (
  folder: string,
  changed: (path: string | undefined) => void,
  failed: (error: unknown) => void,
) => { close(): void }

/**
 * Watches a folder and all below it, dot folders and node_modules left out. Throws where it cannot be watched; what cannot
 * be watched later goes to `failed`.
 */
// Each folder has a watcher of its own. A recursive watch of Node.js follows each file on Linux, and loses it for good once
// an editor saves by putting a new file in its place.
export const watchFolder: FolderWatcher = (root, changed, failed) => {
  const watching = new Map<string, FSWatcher>()

  const drop = (folder: string): void => {
    for (const [path, watcher] of watching) {
      if (path !== folder && !path.startsWith(folder + sep)) continue
      watcher.close()
      watching.delete(path)
    }
  }
  const add = (folder: string): void => {
    if (!watching.has(folder)) {
      const watcher = watch(folder, (event, name) => {
        if (name === null) return changed(undefined)
        const path = join(folder, name)
        if (event === 'rename') renew(path)
        changed(relative(root, path))
      })
      watcher.on('error', (error) => {
        drop(folder)
        if (!isGone(error)) failed(error)
      })
      watching.set(folder, watcher)
    }
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory() && isFollowed(entry.name)) add(join(folder, entry.name))
    }
  }
  /** A name came or went. What was watched under it is another folder now, or none. */
  const renew = (path: string): void => {
    drop(path)
    if (!isFollowed(basename(path))) return
    try {
      if (lstatSync(path).isDirectory()) add(path)
    } catch (error) {
      drop(path)
      if (!isGone(error)) failed(error)
    }
  }

  add(root)
  return { close: () => drop(root) }
}

function isFollowed(name: string): boolean {
  return !name.startsWith('.') && name !== 'node_modules'
}

/** Gone between two looks: nothing to watch. */
function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
