import type { KeyObject } from 'node:crypto'
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { RandomBytes } from '../call.ts'
import { freshKeyMaterial } from './key-material.ts'
import type { RootPlace } from './root-change.ts'
import { openRootKey, readRootKey, rootKeyCheck, syncFolder, writeOnce } from './root-key.ts'
import { RootKeys } from './root-keys.ts'

export interface RootPlaceParts {
  /** The data folder. */
  readonly folder: string
  /** From the settings: the root key, and the one to follow. */
  readonly rootKey: KeyObject | undefined
  readonly rootKeyNext: KeyObject | undefined
  /** The check of the root key that the store was made with; undefined for a new store. */
  readonly standing: string | undefined
  /** Whether servers with data folders of their own may share the store: then none of them makes a root key for the others. */
  readonly shared: boolean
  readonly random?: RandomBytes
}

export interface OpenRoots {
  readonly roots: RootKeys
  readonly place: RootPlace
  /** The root key with this check, where it is here. */
  readonly rootOf: (check: string) => KeyObject | undefined
}

/**
 * The root key of a process, from the settings or from root.key in the data folder, and the one to follow, from the settings
 * or from root.key.next beside it. Throws, in words for the operator, where there is none and the store needs one.
 */
export function openRoots(parts: RootPlaceParts): OpenRoots {
  const { folder, rootKey, rootKeyNext, standing, shared, random } = parts
  if (rootKey !== undefined) return opened(rootKey, rootKeyNext, { kind: 'setting', ...nothing })
  const next = rootKeyNext ?? readNext(folder)
  // Whoever leaves the next one alone means it.
  if (next !== undefined && rootKeyCheck(next) === standing && !existsSync(join(folder, 'root.key'))) {
    if (rootKeyNext !== undefined) return opened(rootKeyNext, undefined, { kind: 'setting', ...nothing })
    adopt(folder, standing)
  }
  const { key } = openRootKey({
    folder,
    storeHasData: standing !== undefined,
    ...(random === undefined ? {} : { random }),
  })
  if (rootKeyNext !== undefined) return opened(key, rootKeyNext, { kind: 'setting', ...nothing })
  return opened(key, next, {
    kind: 'file',
    find: () => readNext(folder),
    make: shared ? undefined : () => makeNext(folder, random),
    adopt: (root) => adopt(folder, root),
  })
}

const nothing = { find: () => undefined, make: undefined, adopt: () => undefined }

function opened(root: KeyObject, next: KeyObject | undefined, place: RootPlace): OpenRoots {
  const given = [root, ...(next === undefined ? [] : [next])]
  return {
    roots: new RootKeys(root, next),
    place,
    rootOf: (check) => given.find((key) => rootKeyCheck(key) === check),
  }
}

const nextName = 'root.key.next'

function readNext(folder: string): KeyObject | undefined {
  return readRootKey(join(folder, nextName), 'remove it, or put the right one there')
}

function makeNext(folder: string, random: RandomBytes | undefined): KeyObject {
  writeOnce(folder, join(folder, nextName), `${freshKeyMaterial(random)}\n`)
  const made = readNext(folder)
  if (made === undefined) throw new Error(`${nextName} went away while it was made`)
  return made
}

/** Gives root.key.next its name, whole or not at all. Twice is once. */
function adopt(folder: string, root: string): void {
  const next = readNext(folder)
  if (next === undefined) return
  if (rootKeyCheck(next) !== root) {
    throw new Error(`${nextName} is not the root key that wraps the keys in the store. Put the right one back`)
  }
  renameSync(join(folder, nextName), join(folder, 'root.key'))
  syncFolder(folder)
}
