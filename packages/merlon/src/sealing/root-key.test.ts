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
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  deriveKey,
  generateSecretKey,
  type KeyPurpose,
  openRootKey,
  openSecretKey,
  parseSecretKey,
  rootKeyCheck,
} from './root-key.ts'

const good = Buffer.from('8f1d5c0a93e24b77b6c8d90e2f3a4156a7b9c3d1e5f70213648596a7c8dae0fb', 'hex')

describe('the root key (CR-04, CR-12)', () => {
  let folder: string
  const open = (over: Partial<Parameters<typeof openRootKey>[0]> = {}) =>
    openRootKey({ folder, env: {}, storeHasData: false, ...over })

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'merlon-root-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('is made on a first start, for its owner alone, and read on the next', () => {
    const first = open()
    const path = join(folder, 'root.key')
    expect(first).toMatchObject({ source: path, created: true })
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
        other ??= openRootKey({ folder, env: {}, storeHasData: false })
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
    expect(() => openSecretKey(`file:${path}`, {})).toThrow('others can read the key file')
  })

  it('is not made in a folder that others can write to', () => {
    chmodSync(folder, 0o777)
    expect(() => open()).toThrow('others can write to the data folder')
    expect(readdirSync(folder)).toEqual([])
  })

  it('is not taken from an empty file or from something that is no file', () => {
    writeFileSync(join(folder, 'root.key'), '', { mode: 0o600 })
    expect(() => open()).toThrow('is not a key')
    mkdirSync(join(folder, 'folder'))
    expect(() => openSecretKey(`file:${join(folder, 'folder')}`, {})).toThrow('is not a file')
  })

  it('comes from a reference where one is given, and is never made there', () => {
    const path = join(folder, 'given')
    expect(() => open({ reference: `file:${path}` })).toThrow(`there is no file ${path}`)
    writeFileSync(path, `${good.toString('hex')}\n`, { mode: 0o600 })
    expect(open({ reference: `file:${path}` }).key.export()).toEqual(good)
    const env = { KEY: good.toString('base64'), ENCRYPTION_KEY: good.toString('base64url'), EMPTY: '' }
    expect(open({ reference: 'env:KEY', env })).toMatchObject({ source: 'env:KEY', created: false })
    expect(open({ env }).source).toBe('env:ENCRYPTION_KEY')
    for (const reference of ['env:EMPTY', 'env:MISSING', 'env:constructor']) {
      expect(() => open({ reference, env })).toThrow(/is not set; make a good one with: merlon generate-keys/)
    }
    expect(() => open({ reference: good.toString('hex') })).toThrow('never as itself')
    expect(readdirSync(folder)).toEqual(['given'])
  })

  it.each(['base64', 'base64url', 'hex'] as const)('is read from %s', (encoding) => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (noise) => {
        // Noise from fast-check likes small numbers; mixed with a good key it is as random as that.
        const bytes = Buffer.from(noise.map((byte, i) => ((byte & 1) + good[i]!) & 0xff))
        expect(parseSecretKey(bytes.toString(encoding), 'x').export()).toEqual(bytes)
      }),
      { numRuns: 30 },
    )
  })

  const b64 = (bytes: Buffer | string) => Buffer.from(bytes).toString('base64')
  it.each([
    ['nothing', ''],
    ['a password', 'secret-api-key'],
    ['a sample of a manual', 'your-jwt-secret-key'],
    ['a placeholder of the right length', 'your-32-byte-encryption-key-goes-Right-here'],
    ['another', 'CHANGEME-changeme-CHANGEME-changeme-abcdefg'],
    ['a phrase of the right length', 'correct-horse-battery-staple-correct-horses'],
    ['a phrase of 32 characters', 'correct horse battery staple!!!!'],
    ['a phrase in base64', b64('Correct horse battery staple 123')],
    ['a phrase in hex', Buffer.from('Correct horse battery staple 123').toString('hex')],
    ['zeros', b64(Buffer.alloc(32))],
    ['one byte over and over', 'ab'.repeat(32)],
    ['a pattern', '0123456789abcdef'.repeat(4)],
    ['half a key twice', Buffer.concat([good.subarray(0, 16), good.subarray(0, 16)]).toString('hex')],
    ['counting', Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString('hex')],
    ['counting down in threes', Buffer.from(Array.from({ length: 32 }, (_, i) => 255 - 3 * i)).toString('hex')],
    ['few different bytes', Buffer.from(good.map((byte) => byte & 15)).toString('hex')],
    ['the key of a standard', '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4'],
    ['16 bytes', good.subarray(0, 16).toString('hex')],
    ['31 bytes', good.subarray(0, 31).toString('base64')],
    ['33 bytes', Buffer.concat([good, good.subarray(0, 1)]).toString('base64')],
    ['junk inside', `${good.toString('base64').slice(0, 20)} ${good.toString('base64').slice(20)}`],
    ['bits too many', good.toString('base64').replace(/s=$/, 't=')],
  ])('is refused when it is %s', (_what, text) => {
    let message = ''
    try {
      parseSecretKey(text, 'env:KEY')
    } catch (error) {
      message = (error as Error).message
    }
    expect(message).toMatch(/^env:KEY is not a .*merlon generate-keys$/)
    if (text !== '') expect(message).not.toContain(text)
  })

  it('is random when generated, and passes its own test', () => {
    const made = new Set(Array.from({ length: 200 }, () => generateSecretKey()))
    expect(made.size).toBe(200)
    for (const text of made) expect(parseSecretKey(text, 'x').export()).toHaveLength(32)
    expect(() => generateSecretKey((size) => Buffer.alloc(size))).toThrow('random source')
  })

  it('gives each purpose a key of its own, the same every time', () => {
    const root = createSecretKey(good)
    const purposes: KeyPurpose[] = [
      'api-key-pepper',
      'session-id',
      'event-id',
      'request-state',
      'cursor',
      'audit',
      'key-check',
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
    expect(Buffer.from(text, 'base64')).toEqual(key.export())
    expect(text).toHaveLength(44)
  })
})
