import { createPublicKey, randomBytes } from 'node:crypto'
import { jwtVerify } from 'jose'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { parseKeyMaterial } from '../sealing/key-material.ts'
import { deriveKey } from '../sealing/root-key.ts'
import { openSealer } from '../sealing/seal.ts'
import { actorOf, localOperator } from './actor.ts'
import { Recorder } from './recorded.ts'
import { publishedMs, SigningKeys } from './signing-keys.ts'
import { now, SigningKeysInMemory, userWith } from './token.fixture.ts'

const minute = 60_000
const day = 86_400_000
const material = parseKeyMaterial(randomBytes(32).toString('base64url'))
const root = 'key' in material ? material.key : expect.unreachable()
const otherMaterial = parseKeyMaterial(randomBytes(32).toString('base64url'))
const otherRoot = 'key' in otherMaterial ? otherMaterial.key : expect.unreachable()

let time = now
let store = new SigningKeysInMemory()
const records: string[] = []
beforeEach(() => {
  time = now
  store = new SigningKeysInMemory()
  records.length = 0
})

function keysWith(key = root) {
  const clock = () => time
  return new SigningKeys({
    store,
    sealer: openSealer(deriveKey(key, 'signing-key'), randomBytes),
    random: randomBytes,
    clock,
    recorder: new Recorder(async ({ action, outcome, by }) => void records.push(`${action} ${outcome} ${by}`), clock),
    tokenMs: 15 * minute,
    rotationMs: 30 * day,
    report: (cause) => expect.unreachable(String(cause)),
  })
}

const kids = (keys: SigningKeys) => (JSON.parse(keys.keySet) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)
const kidOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid
const states = async (keys: SigningKeys) => {
  const listed = await keys.list(localOperator)
  return listed.ok ? listed.keys.map(({ state }) => state) : listed.reason
}

describe('AS-14: the key set', () => {
  test('holds public parts alone, and an independent implementation verifies with them', async () => {
    const keys = keysWith()
    await keys.start()
    const set = JSON.parse(keys.keySet) as { keys: Record<string, string>[] }
    expect(set.keys.map((key) => Object.keys(key).sort())).toEqual([['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']])
    const token = keys.sign({ sub: 'ann' })
    const { payload, protectedHeader } = await jwtVerify(
      token,
      createPublicKey({ key: set.keys[0] as never, format: 'jwk' }),
    )
    expect(payload).toEqual({ sub: 'ann' })
    expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: set.keys[0]!['kid'] })
  })

  test('names keys by what tells nothing of them', async () => {
    const keys = keysWith()
    await keys.start()
    expect(kids(keys)[0]).toMatch(/^[A-Za-z0-9_-]{22}$/)
  })
})

describe('AS-14: keys take turns', () => {
  test('each published before it signs, kept until what it signed has ended, and then destroyed', async () => {
    const keys = keysWith()
    await keys.start()
    const [first] = kids(keys)
    time = now + 30 * day - publishedMs - 1
    await keys.tick()
    expect(kids(keys)).toEqual([first])
    time = now + 30 * day - publishedMs
    await keys.tick()
    const [, second] = kids(keys)
    expect(await states(keys)).toEqual(['signing', 'published'])
    expect(kidOf(keys.sign({}))).toBe(first)
    time = now + 30 * day - 1
    const last = keys.sign({})
    expect(kidOf(last)).toBe(first)
    time = now + 30 * day
    await keys.tick()
    expect(kidOf(keys.sign({}))).toBe(second)
    expect(await states(keys)).toEqual(['retiring', 'signing'])
    time += 15 * minute + 119_999
    await keys.tick()
    expect(kids(keys)).toEqual([first, second])
    expect(keys.find(first)).toBeDefined()
    time += 1
    await keys.tick()
    expect(kids(keys)).toEqual([second])
    expect(await states(keys)).toEqual(['destroyed', 'signing'])
    expect(store.keys[0]).toMatchObject({ sealed: undefined })
  })

  test('of servers that start or rotate at once, one makes the key and all use it', async () => {
    const servers = Array.from({ length: 5 }, () => keysWith())
    await Promise.all(servers.map((keys) => keys.start()))
    expect(store.keys).toHaveLength(1)
    time = now + 30 * day - publishedMs
    await Promise.all(servers.map((keys) => keys.tick()))
    expect(store.keys).toHaveLength(2)
    time = now + 30 * day
    await Promise.all(servers.map((keys) => keys.tick()))
    expect(new Set(servers.map((keys) => kidOf(keys.sign({}))))).toEqual(new Set([store.keys[1]?.id]))
  })

  test('a server that was stopped for months goes on with a new key', async () => {
    await keysWith().start()
    time = now + 200 * day
    const keys = keysWith()
    await keys.start()
    expect(await states(keys)).toEqual(['signing', 'published'])
    time += publishedMs
    await keys.tick()
    expect(await states(keys)).toEqual(['retiring', 'signing'])
  })

  test('the store out of reach is told once, and keys go on signing', async () => {
    const report = vi.fn()
    const keys = keysWith()
    Object.assign(keys, {})
    await keys.start()
    store.down = true
    const told = new SigningKeys({
      store,
      sealer: openSealer(deriveKey(root, 'signing-key'), randomBytes),
      random: randomBytes,
      clock: () => time,
      recorder: new Recorder(
        async () => {},
        () => time,
      ),
      tokenMs: minute,
      rotationMs: day,
      report,
    })
    await told.tick()
    await told.tick()
    expect(report).toHaveBeenCalledOnce()
    expect(keys.sign({})).toMatch(/^ey/)
  })
})

describe('AS-14: an operator', () => {
  test('publishes the next key before its time, once', async () => {
    const keys = keysWith()
    await keys.start()
    const made = await keys.rotate(localOperator)
    expect(made).toMatchObject({ ok: true, key: { state: 'published', activeFrom: now + publishedMs } })
    expect(await keys.rotate(localOperator)).toEqual(made)
    expect(records).toEqual(['signing-key.rotate intended local-operator', 'signing-key.rotate done local-operator'])
    time = now + publishedMs
    await keys.tick()
    expect(kidOf(keys.sign({}))).toBe(made.ok && made.key.id)
  })

  test('destroys a key with all that it signed, and another signs at once, on every server within a tick', async () => {
    const keys = keysWith()
    const elsewhere = keysWith()
    await keys.start()
    await elsewhere.start()
    const forgotten = vi.fn()
    elsewhere.onDestroyed(forgotten)
    const [first] = kids(keys)
    const id = first ?? expect.unreachable()
    expect(await keys.retire(id, localOperator)).toMatchObject({ ok: true, key: { state: 'destroyed' } })
    expect(kidOf(keys.sign({}))).not.toBe(id)
    expect(await keys.find(id)).toBeUndefined()
    await elsewhere.tick()
    expect(await elsewhere.find(id)).toBeUndefined()
    expect(forgotten).toHaveBeenCalledOnce()
    expect(await keys.retire(id, localOperator)).toMatchObject({ ok: true, key: { state: 'destroyed' } })
    expect(records).toEqual(['signing-key.retire intended local-operator', 'signing-key.retire done local-operator'])
  })

  test('finds what another server made a moment ago', async () => {
    const keys = keysWith()
    await keys.start()
    const elsewhere = keysWith()
    await elsewhere.start()
    const made = await elsewhere.rotate(localOperator)
    const id = made.ok ? made.key.id : expect.unreachable()
    expect(await keys.find(id)).toBeUndefined()
    time += 1_000
    expect(await keys.find(id)).toMatchObject({ kid: id })
    expect(await keys.find('unknown')).toBeUndefined()
  })

  test('is one of the installation: nobody else sees or changes a key', async () => {
    const keys = keysWith()
    await keys.start()
    const admin = actorOf(userWith({ role: 'admin' }))
    expect(await keys.list(admin)).toEqual({ ok: false, reason: 'not-yours' })
    expect(await keys.rotate(admin)).toEqual({ ok: false, reason: 'not-yours' })
    expect(await keys.retire(kids(keys)[0]!, admin)).toEqual({ ok: false, reason: 'not-yours' })
    expect(await keys.retire('unknown', localOperator)).toEqual({ ok: false, reason: 'signing-key-unknown' })
    expect(store.keys).toHaveLength(1)
  })
})

describe('AS-14: at rest', () => {
  test('a private part is sealed: neither the store nor another root key has it', async () => {
    await keysWith().start()
    const [key] = store.keys
    expect(JSON.stringify(key)).not.toMatch(/"d":|PRIVATE/)
    await expect(keysWith(otherRoot).start()).rejects.toThrow('sealed with another root key')
  })

  test('a sealed part in the place of another is not taken', async () => {
    const keys = keysWith()
    await keys.start()
    await keys.rotate(localOperator)
    const [first, second] = store.keys
    store.keys = [{ ...first!, sealed: second!.sealed }, second!]
    await expect(keysWith().start()).rejects.toThrow('sealed with another root key')
  })
})
