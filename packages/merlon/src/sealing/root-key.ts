import { createHmac, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { RandomBytes } from '../call.ts'

/**
 * The root key: 32 random bytes from which every other key is derived. Whoever has it can read what is sealed and make
 * keys, so it is refused when others can read it or when it does not look random; lost, it is never made afresh over data.
 */
export interface RootKey {
  readonly key: KeyObject
  /** Where it came from, in words for `config show`: a reference or a path. */
  readonly source: string
  /** Whether it was made now. */
  readonly created: boolean
}

export interface RootKeyPlace {
  /** `env:NAME` or `file:/path`. Default: `env:ENCRYPTION_KEY` where that is set, else `root.key` in the folder. */
  readonly reference?: string
  /** The data folder. */
  readonly folder: string
  readonly env: Readonly<Record<string, string | undefined>>
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
  | 'audit'
  | 'key-check'

const makeOne = 'make a good one with: merlon generate-keys'
const keyBytes = 32

/** Opens the root key, or makes it on a first start. Throws an `Error` that says what is wrong and what to do. */
export function openRootKey(place: RootKeyPlace): RootKey {
  const { env, folder, reference = env['ENCRYPTION_KEY'] ? 'env:ENCRYPTION_KEY' : undefined } = place
  if (reference !== undefined) return { key: openSecretKey(reference, env), source: reference, created: false }
  const path = join(folder, 'root.key')
  const text = readPrivate(path)
  if (text !== undefined) return { key: parseSecretKey(text, path), source: path, created: false }
  if (place.storeHasData) {
    throw new Error(
      `the root key ${path} is missing, and the store holds data made with it; put the file back from your backup, or name the key in secrets.rootKey`,
    )
  }
  const created = writeOnce(folder, path, `${generateSecretKey(place.random)}\n`)
  return { key: parseSecretKey(readPrivate(path) ?? '', path), source: path, created }
}

/** Opens a secret of 32 bytes by its reference: `env:NAME`, or `file:/path` to a file that its owner alone can read. */
export function openSecretKey(reference: string, env: RootKeyPlace['env']): KeyObject {
  if (reference.startsWith('env:')) {
    const name = reference.slice(4)
    const text = Object.hasOwn(env, name) ? env[name] : undefined
    if (!text) throw new Error(`the environment variable ${name} is not set; ${makeOne}`)
    return parseSecretKey(text, reference)
  }
  if (!reference.startsWith('file:')) throw new Error('a secret is given as env:NAME or file:/path, never as itself')
  const path = reference.slice(5)
  const text = readPrivate(path)
  if (text === undefined) throw new Error(`there is no file ${path}; ${makeOne}`)
  return parseSecretKey(text, reference)
}

/**
 * Reads 32 bytes from base64, base64url or hex. Refuses every other length, and what does not look random: a phrase in
 * disguise, repetition, counting, a published sample. `source` names it in the error; the value is never shown.
 */
export function parseSecretKey(text: string, source: string): KeyObject {
  const bytes = decode(text.trim())
  if (bytes === undefined) {
    throw new Error(`${source} is not a key: 32 random bytes in base64 or hex are wanted, no phrase; ${makeOne}`)
  }
  const weakness = weaknessOf(text.trim(), bytes)
  if (weakness !== undefined) throw new Error(`${source} is not a random key: ${weakness}; ${makeOne}`)
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}

/** A new secret of 32 bytes in base64, such as `parseSecretKey` takes. */
export function generateSecretKey(random: RandomBytes = randomBytes): string {
  // A random key that looks weak comes once in some million; a second one in a row means a broken source.
  for (let attempt = 0; attempt < 2; attempt++) {
    const bytes = random(keyBytes)
    const text = bytes.toString('base64')
    if (bytes.length === keyBytes && weaknessOf(text, bytes) === undefined) return text
  }
  throw new Error('the random source does not give random bytes')
}

/** The key for one purpose: HKDF-SHA-256 (RFC 5869), with the purpose as its info. */
export function deriveKey(root: KeyObject, purpose: KeyPurpose): KeyObject {
  const bytes = Buffer.from(hkdfSync('sha256', root, '', `merlon/1/${purpose}`, keyBytes))
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}

/** Tells one root key from another without telling anything of it: kept in the store, to recognise a wrong one. */
export function rootKeyCheck(root: KeyObject): string {
  return createHmac('sha256', deriveKey(root, 'key-check')).update('merlon root key').digest('hex').slice(0, 32)
}

/** Only the exact spelling of 32 bytes counts; `Buffer.from` alone would skip junk and guess at the rest. */
function decode(text: string): Buffer | undefined {
  if (/^[0-9A-Fa-f]{64}$/.test(text)) return Buffer.from(text, 'hex')
  const bare = text.replace(/=$/, '')
  for (const encoding of ['base64', 'base64url'] as const) {
    const bytes = Buffer.from(bare, encoding)
    if (bytes.length === keyBytes && bytes.toString(encoding).replace(/=$/, '') === bare) return bytes
  }
  return undefined
}

/** Words of placeholders, long enough not to turn up in base64 by chance. */
const placeholder =
  /change|secret|replace|example|password|placeholder|encryption|insert|sample|your[-_]|dummy[-_]|test[-_]/i

/** Keys that were printed in standards and manuals; those that count or repeat are refused as such. */
const published = new Set([
  '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4', // NIST SP 800-38A, F.1.5
])

function weaknessOf(text: string, bytes: Buffer): string | undefined {
  if (placeholder.test(text)) return 'it reads like a placeholder'
  // Base64 of 43 random characters lacks capitals, or small letters, once in five thousand million.
  if (text.length < 64 && !(/[A-Z]/.test(text) && /[a-z]/.test(text))) return 'it reads like a phrase'
  if (bytes.every((byte) => byte >= 0x20 && byte < 0x7f)) return 'it is a phrase in disguise'
  const step = (bytes[1]! - bytes[0]!) & 0xff
  if (bytes.every((byte, i) => i === 0 || ((byte - bytes[i - 1]!) & 0xff) === step)) return 'it repeats or counts'
  for (const period of [1, 2, 4, 8, 16]) {
    if (bytes.subarray(period).equals(bytes.subarray(0, keyBytes - period))) return 'it repeats itself'
  }
  // 32 random bytes have about 30 different values; fewer than 20 come once in 10^12.
  if (new Set(bytes).size < 20) return 'it has too few different bytes'
  if (published.has(bytes.toString('hex'))) return 'it is a published sample'
  return undefined
}

const textBytesMax = 1_024
// Elsewhere the mode bits say nothing about who may read.
const bits = process.platform === 'win32' ? 0 : 0o777

/** The text of a file that its owner alone can read; `undefined` where there is none. */
function readPrivate(path: string): string | undefined {
  let handle: number
  try {
    handle = openSync(path, constants.O_RDONLY)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Error(`the key file ${path} cannot be read`, { cause: error })
  }
  try {
    const stat = fstatSync(handle)
    if (!stat.isFile()) throw new Error(`${path} is not a file`)
    if (stat.mode & bits & 0o077) throw new Error(`others can read the key file ${path}; run: chmod 600 ${path}`)
    const text = Buffer.alloc(textBytesMax)
    const length = readSync(handle, text, 0, textBytesMax, 0)
    return text.toString('latin1', 0, length)
  } finally {
    closeSync(handle)
  }
}

/**
 * Makes the file with this text, whole and on the disk, unless it is there. Answers whether it was made. The name is given
 * last, so that a crash leaves no empty key behind, and of two that start at once one wins and both read the same.
 */
function writeOnce(folder: string, path: string, text: string): boolean {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (statSync(folder).mode & bits & 0o022) {
    throw new Error(`others can write to the data folder ${folder}; run: chmod go-w ${folder}`)
  }
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

function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  const handle = openSync(folder, constants.O_RDONLY)
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
