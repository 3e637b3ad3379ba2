import { createHmac, createPrivateKey, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { RandomBytes } from '../call.ts'
import { makeDataFolder, openToOthers, permissions } from '../private-file.ts'
import { freshKeyMaterial, parseKeyMaterial } from './key-material.ts'

/**
 * The root key: 32 random bytes from which every other key is derived. Whoever has it can read what is sealed and make
 * keys, so it is refused when others can read it or when it does not look random; lost, it is never made afresh over data.
 */
export interface RootKey {
  readonly key: KeyObject
  /** Whether it was made now. */
  readonly created: boolean
}

export interface RootKeyPlace {
  /** The data folder. */
  readonly folder: string
  /** Whether something was ever sealed or digested with the root key: then a missing one is lost, not new. */
  readonly storeHasData: boolean
  readonly random?: RandomBytes
}

/** Each purpose has its own key, so that what one part makes means nothing to another. */
export type KeyPurpose =
  | 'api-key-pepper'
  | 'session-id'
  | 'event-id'
  | 'request-state'
  | 'cursor'
  | 'audit-head'
  | 'audit-digest'
  | 'key-check'
  | 'data-key-wrap'
  | 'kept-key-wrap'
  | 'signing-key'
  | 'second-factor'
  | 'recovery-code'
  | 'question-id'
  | 'mail'

const keyBytes = 32

/**
 * Opens root.key in the data folder, or makes it on a first start. Throws an `Error` that says what is wrong and what to
 * do, and shows nothing of the key.
 */
export function openRootKey({ folder, storeHasData, random }: RootKeyPlace): RootKey {
  makeDataFolder(folder)
  const path = join(folder, 'root.key')
  const fix = storeHasData ? restore : 'remove it, and the next start makes a good one'
  const key = readRootKey(path, fix)
  if (key !== undefined) return { key, created: false }
  if (storeHasData) {
    throw new Error(
      `the root key ${path} is missing, and the store holds data made with it; ${restore}, or ENCRYPTION_KEY into .env if the key came from there`,
    )
  }
  const created = writeOnce(folder, path, `${freshKeyMaterial(random)}\n`)
  return { key: keyOf(readPrivate(path) ?? '', path, fix), created }
}

/** The root key in a file; undefined where there is none. `fix` says what to do about one that is no good. */
export function readRootKey(path: string, fix: string): KeyObject | undefined {
  const text = readPrivate(path)
  return text === undefined ? undefined : keyOf(text, path, fix)
}

const restore = 'put the file back from your backup'

function keyOf(text: string, path: string, fix: string): KeyObject {
  const material = parseKeyMaterial(text.trim())
  if ('key' in material) return material.key
  throw new Error(`the root key ${path} ${material.says}; ${fix}`)
}

/** The key for one purpose: HKDF-SHA-256 (RFC 5869), with the purpose as its info. */
export function deriveKey(root: KeyObject, purpose: KeyPurpose): KeyObject {
  const bytes = Buffer.from(hkdfSync('sha256', root, '', `merlon/1/${purpose}`, keyBytes))
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}

/** The key of Ed25519 whose seed this one is (RFC 8410 §7). */
export function signingKeyOf(key: KeyObject): KeyObject {
  const seed = key.export()
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  } finally {
    seed.fill(0)
    der.fill(0)
  }
}

/** Tells one root key from another without telling anything of it: kept in the store, to recognise a wrong one. */
export function rootKeyCheck(root: KeyObject): string {
  return createHmac('sha256', deriveKey(root, 'key-check')).update('merlon root key').digest('hex').slice(0, 32)
}

const textBytesMax = 1_024

/** The text of a file that its owner alone can read; `undefined` where there is none. */
function readPrivate(path: string): string | undefined {
  let handle: number
  try {
    // Not blocking, so that a named pipe in the place of the file cannot hold up the start.
    handle = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Error(`the key file ${path} cannot be read`, { cause: error })
  }
  const text = Buffer.alloc(textBytesMax)
  try {
    const stat = fstatSync(handle)
    if (!stat.isFile()) throw new Error(`${path} is not a file`)
    if (openToOthers(permissions(stat))) {
      throw new Error(`others can read the key file ${path}; run: chmod 600 ${path}`)
    }
    const length = readSync(handle, text, 0, textBytesMax, 0)
    return text.toString('latin1', 0, length)
  } finally {
    text.fill(0)
    closeSync(handle)
  }
}

/**
 * Makes the file with this text, whole and on the disk, unless it is there. Answers whether it was made. The name is given
 * last, so that a crash leaves no empty key behind, and of two that start at once one wins and both read the same.
 */
export function writeOnce(folder: string, path: string, text: string): boolean {
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  const handle = openSync(draft, 'wx', 0o600)
  try {
    writeSync(handle, text)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    unlinkSync(draft)
    syncFolder(folder)
  }
}

/** Makes a name that was given or taken in it durable. */
export function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  const handle = openSync(folder, constants.O_RDONLY)
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
