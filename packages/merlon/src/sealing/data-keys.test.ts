import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { MemoryDataKeyStore } from '../store/memory/data-key-store.ts'
import type { WrappedKey } from './data-key-store.ts'
import { DataKeys, dataKeyBinding, familyKey } from './data-keys.ts'
import { RootKeys } from './root-keys.ts'
import { rewrapKey } from './wrap.ts'

const root = createSecretKey(Buffer.alloc(32, 1))
const otherRoot = createSecretKey(Buffer.alloc(32, 2))
const material = (key: { key: { export(): Buffer } }) => key.key.export().toString('hex')

function opened({
  store = new MemoryDataKeyStore(),
  with: rootKey = root,
}: {
  store?: MemoryDataKeyStore
  with?: KeyObject | RootKeys
} = {}) {
  const time = { now: 1_000 }
  return { store, time, keys: new DataKeys({ store, root: rootKey, random: randomBytes, clock: () => time.now }) }
}

describe('data keys', () => {
  test('one key seals for a tenant and purpose, in this process and in the next', async () => {
    const { store, keys } = opened()
    const first = await keys.sealing('acme', 'session')
    expect(await keys.sealing('acme', 'session')).toBe(first)
    const again = await opened({ store }).keys.sealing('acme', 'session')
    expect(again.id).toBe(first.id)
    expect(material(again)).toBe(material(first))
    const opening = await opened({ store }).keys.opening(first.id, 'acme', 'session')
    expect(material(opening!)).toBe(material(first))
  })

  test('CR-06: no two tenants and no two purposes share one', async () => {
    const { keys } = opened()
    const all = [
      await keys.sealing('acme', 'session'),
      await keys.sealing('acme', 'event'),
      await keys.sealing('other', 'session'),
    ]
    expect(new Set(all.map(material)).size).toBe(3)
    expect(await keys.opening(all[0]!.id, 'other', 'session')).toBeUndefined()
    expect(await keys.opening(all[0]!.id, 'acme', 'event')).toBeUndefined()
  })

  test('CR-03: the store holds no key in the clear, and a wrapped key moved elsewhere does not unwrap', async () => {
    const { store, keys } = opened()
    const key = await keys.sealing('acme', 'session')
    const row = (await store.find(key.id))!
    expect(row.wrapped.toString('hex')).not.toContain(material(key))
    const moved: WrappedKey = { ...row, id: 'moved0000000', tenant: 'other' }
    await store.claim(moved)
    await expect(opened({ store }).keys.sealing('other', 'session')).rejects.toMatchObject({
      code: 'store.unavailable',
      detail: { reason: 'data-key' },
    })
    expect(await opened({ store }).keys.opening('moved0000000', 'other', 'session')).toBeUndefined()
  })

  test('CR-12: another root key opens nothing, and does not begin afresh', async () => {
    const { store, keys } = opened()
    const { id } = await keys.sealing('acme', 'session')
    const wrong = opened({ store, with: otherRoot }).keys
    expect(await wrong.opening(id, 'acme', 'session')).toBeUndefined()
    await expect(wrong.sealing('acme', 'session')).rejects.toMatchObject({ code: 'store.unavailable' })
    expect(await store.list()).toHaveLength(1)
  })

  test('CR-05: a key put in its place elsewhere seals here within a second, and the old one still opens', async () => {
    const { store, keys, time } = opened()
    const old = await keys.sealing('acme', 'session')
    const fresh = keys.mint('acme', 'session')
    await store.replace(fresh, old.id, time.now)
    expect((await keys.sealing('acme', 'session')).id).toBe(old.id)
    time.now += 1_001
    expect((await keys.sealing('acme', 'session')).id).toBe(fresh.id)
    expect(await keys.opening(old.id, 'acme', 'session')).toBe(old)
  })

  test('CR-07: a destroyed key opens nothing once it is forgotten', async () => {
    const { store, keys, time } = opened()
    const old = await keys.sealing('acme', 'session')
    await store.replace(keys.mint('acme', 'session'), old.id, time.now)
    await store.destroy(old.id, time.now)
    keys.forget(old.id)
    expect(await keys.opening(old.id, 'acme', 'session')).toBeUndefined()
  })

  test('CR-07: a look that began before a key was destroyed does not bring it back', async () => {
    const { store, keys, time } = opened()
    const old = await keys.sealing('acme', 'session')
    await store.replace(keys.mint('acme', 'session'), old.id, time.now)
    const looked = Promise.withResolvers<void>()
    const find = store.find.bind(store)
    store.find = async (id) => {
      const row = await find(id)
      await looked.promise
      return row
    }
    const other = opened({ store }).keys
    const looking = other.opening(old.id, 'acme', 'session')
    await new Promise(setImmediate)
    await store.destroy(old.id, time.now)
    other.forget(old.id)
    looked.resolve()
    await looking
    expect(await other.opening(old.id, 'acme', 'session')).toBeUndefined()
  })

  test('a key wrapped anew is the same key under the root key that follows', async () => {
    const { store, keys } = opened()
    const key = await keys.sealing('acme', 'session')
    const row = (await store.find(key.id))!
    const [from, to] = [new RootKeys(root).wraps, new RootKeys(otherRoot).wraps]
    const anew = (one: typeof from, other: typeof from) =>
      rewrapKey(row.wrapped, dataKeyBinding(row), one.data, other.data, randomBytes)
    expect(anew(to, from)).toBeUndefined()
    await store.rewrap(key.id, from.root, { root: to.root, wrapped: anew(from, to)! })
    expect(material((await opened({ store, with: otherRoot }).keys.opening(key.id, 'acme', 'session'))!)).toBe(
      material(key),
    )
  })

  test('CR-05: where another process changed the root key, a new key is wrapped by that, if it is here', async () => {
    const store = new MemoryDataKeyStore()
    const between = new RootKeys(root, otherRoot)
    const { keys } = opened({ store, with: between })
    const { keys: behind } = opened({ store })
    await store.changeRoot(new RootKeys(otherRoot).wraps.root)
    const { id } = await keys.sealing('acme', 'session')
    expect((await store.find(id))?.root).toBe(new RootKeys(otherRoot).wraps.root)
    expect(between.wraps.root).toBe(new RootKeys(otherRoot).wraps.root)
    await expect(behind.sealing('other', 'session')).rejects.toMatchObject({ detail: { reason: 'root-key' } })
    await expect(behind.sealing('acme', 'session')).rejects.toMatchObject({ code: 'store.unavailable' })
    expect(await store.list()).toHaveLength(1)
  })

  test('a family has a key of its own that its salt brings back', async () => {
    const { keys } = opened()
    const key = await keys.sealing('acme', 'event')
    const one = familyKey(key, Buffer.alloc(16, 1), 'event')
    expect(one.id).toBe(key.id)
    expect(material(familyKey(key, Buffer.alloc(16, 1), 'event'))).toBe(material(one))
    expect(new Set([key, one, familyKey(key, Buffer.alloc(16, 2), 'event')].map(material)).size).toBe(3)
  })
})
