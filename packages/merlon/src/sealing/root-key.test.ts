import { createSecretKey, randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deriveKey, type KeyPurpose, openRootKey, rootKeyCheck } from './root-key.ts'

const good = Buffer.from('8f1d5c0a93e24b77b6c8d90e2f3a4156a7b9c3d1e5f70213648596a7c8dae0fb', 'hex')

describe('CR-04, CR-12: the root key', () => {
  let folder: string
  const open = (over: Partial<Parameters<typeof openRootKey>[0]> = {}) =>
    openRootKey({ folder, storeHasData: false, ...over })

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'merlon-root-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('is made on a first start, for its owner alone, and read on the next', () => {
    const first = open()
    const path = join(folder, 'root.key')
    expect(first.created).toBe(true)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['root.key'])
    const second = open({ storeHasData: true })
    expect(second.created).toBe(false)
    expect(second.key.equals(first.key)).toBe(true)
    expect(first.key.export()).toHaveLength(32)
  })

  it('is never made afresh when the store has data', () => {
    expect(() => open({ storeHasData: true })).toThrow(/root\.key is missing.*put the file back from your backup/)
    expect(existsSync(join(folder, 'root.key'))).toBe(false)
  })

  it('is the one that is there when two first starts meet', () => {
    let other: ReturnType<typeof openRootKey> | undefined
    const mine = open({
      random: (size) => {
        other ??= openRootKey({ folder, storeHasData: false })
        return randomBytes(size)
      },
    })
    expect([mine.created, other?.created]).toEqual([false, true])
    expect(mine.key.equals(other!.key)).toBe(true)
    expect(readdirSync(folder)).toEqual(['root.key'])
  })

  it.each([0o640, 0o604, 0o666])('is refused from a file of mode %o', (mode) => {
    const path = join(folder, 'root.key')
    writeFileSync(path, good.toString('base64'))
    chmodSync(path, mode)
    expect(() => open()).toThrow(`others can read the key file ${path}; run: chmod 600 ${path}`)
  })

  it.each([0o777, 0o720, 0o702])('is neither made in nor read from a folder of mode %o', (mode) => {
    chmodSync(folder, mode)
    expect(() => open()).toThrow(`others can write to the data folder ${folder}; run: chmod go-w ${folder}`)
    expect(readdirSync(folder)).toEqual([])
    writeFileSync(join(folder, 'root.key'), good.toString('hex'), { mode: 0o600 })
    expect(() => open({ storeHasData: true })).toThrow('others can write to the data folder')
  })

  it.each([
    ['', 'is empty'],
    ['your-32-byte-encryption-key-here\n', 'is a placeholder or a published sample'],
    [`${good.toString('hex').slice(2)}\n`, 'is not 32 bytes as base64 or hex'],
    ['ab'.repeat(32), 'is not random: it repeats, counts, or is text'],
  ])('is refused from a file that holds %j', (text, says) => {
    const path = join(folder, 'root.key')
    writeFileSync(path, text, { mode: 0o600 })
    expect(() => open()).toThrow(`the root key ${path} ${says}; remove it, and the next start makes a good one`)
    expect(() => open({ storeHasData: true })).toThrow(
      `the root key ${path} ${says}; put the file back from your backup`,
    )
    expect(readFileSync(path, 'utf8')).toBe(text)
  })

  it('is not taken from something that is no file', () => {
    mkdirSync(join(folder, 'root.key'))
    expect(() => open()).toThrow('is not a file')
  })

  it.each(['base64', 'base64url', 'hex'] as const)('is read from %s, with or without an end of line', (encoding) => {
    for (const end of ['', '\n', '\r\n']) {
      writeFileSync(join(folder, 'root.key'), good.toString(encoding) + end, { mode: 0o600 })
      expect(open().key.export()).toEqual(good)
    }
  })

  it('is not made from a source that is not random', () => {
    expect(() => open({ random: (size) => Buffer.alloc(size) })).toThrow('the random source')
    expect(readdirSync(folder)).toEqual([])
  })

  it('gives each purpose a key of its own, the same every time', () => {
    const root = createSecretKey(good)
    const purposes: KeyPurpose[] = [
      'api-key-pepper',
      'session-id',
      'event-id',
      'request-state',
      'cursor',
      'audit-head',
      'audit-digest',
      'key-check',
      'data-key-wrap',
      'signing-key',
      'question-id',
      'mail',
      'second-factor',
      'recovery-code',
    ]
    const keys = purposes.map((purpose) => deriveKey(root, purpose).export().toString('hex'))
    expect(new Set(keys).size).toBe(purposes.length)
    expect(keys[0]).toBe('4c447f4db265ecc6d4aec9f66307ac4d861c26d2a89de187725462387b6e7dab')
    expect(keys).toEqual(purposes.map((purpose) => deriveKey(root, purpose).export().toString('hex')))
  })

  it('is told from another by its check, which is not the key', () => {
    const check = rootKeyCheck(createSecretKey(good))
    expect(check).toMatch(/^[0-9a-f]{32}$/)
    expect(rootKeyCheck(createSecretKey(good))).toBe(check)
    expect(rootKeyCheck(createSecretKey(randomBytes(32)))).not.toBe(check)
    expect(good.toString('hex')).not.toContain(check)
  })

  it('is written nowhere but in its file', () => {
    const { key } = open()
    const text = readFileSync(join(folder, 'root.key'), 'utf8').trim()
    expect(Buffer.from(text, 'base64url')).toEqual(key.export())
    expect(text).toHaveLength(43)
  })
})
