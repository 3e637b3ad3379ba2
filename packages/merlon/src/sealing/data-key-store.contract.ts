import { afterEach, describe, expect, test } from 'vitest'
import type { DataKeyStore, WrappedKey } from './data-key-store.ts'

/** What a store of data keys promises. `open` gives an empty one; `close` ends what it opened. */
export function dataKeyStoreContract(
  name: string,
  open: () => Promise<{
    readonly store: DataKeyStore
    /** From now on this root key wraps what is new. */
    readonly changeRoot: (root: string) => Promise<unknown>
    readonly close: () => Promise<void>
  }>,
): void {
  describe(`data keys: ${name}`, () => {
    let opened: Awaited<ReturnType<typeof open>> | undefined
    const empty = async () => {
      opened = await open()
      return opened.store
    }
    afterEach(async () => {
      await opened?.close()
      opened = undefined
    })

    test('the first key that is offered seals, and stays the one', async () => {
      const store = await empty()
      expect(await store.claim(keyNamed('first'))).toEqual(keyNamed('first'))
      expect(await store.claim(keyNamed('second'))).toEqual(keyNamed('first'))
      expect(await store.find('first')).toEqual(keyNamed('first'))
      expect(await store.find('second')).toBeUndefined()
    })

    test('each tenant and purpose has its own', async () => {
      const store = await empty()
      await store.claim(keyNamed('a'))
      expect((await store.claim(keyNamed('b', { tenant: 'other' })))?.id).toBe('b')
      expect((await store.claim(keyNamed('c', { purpose: 'event' })))?.id).toBe('c')
      expect((await store.list()).map(({ id }) => id)).toEqual(['c', 'a', 'b'])
    })

    test('of twenty that offer a key at once one wins, and all get it', async () => {
      const store = await empty()
      const claims = await Promise.all(Array.from({ length: 20 }, (_, i) => store.claim(keyNamed(`key-${i}`))))
      expect(new Set(claims.map((key) => key?.id)).size).toBe(1)
      expect(await store.list()).toHaveLength(1)
    })

    test('CR-05: a key is replaced once; the old one stays to be read with', async () => {
      const store = await empty()
      await store.claim(keyNamed('old'))
      const raced = await Promise.all(
        Array.from({ length: 10 }, (_, i) => store.replace(keyNamed(`new-${i}`), 'old', 500)),
      )
      const winner = raced[0]?.id
      expect(raced.every((key) => key?.id === winner)).toBe(true)
      expect((await store.claim(keyNamed('late')))?.id).toBe(winner)
      expect(await store.find('old')).toEqual({ ...keyNamed('old'), replacedAt: 500 })
      expect(await store.list()).toHaveLength(2)
    })

    test('a key is destroyed only when another seals, and its bytes are gone', async () => {
      const store = await empty()
      await store.claim(keyNamed('old'))
      expect(await store.destroy('old', 600)).toBe('sealing')
      expect(await store.destroy('none', 600)).toBe('unknown')
      await store.replace(keyNamed('new'), 'old', 500)
      expect(await store.destroyed()).toBe(0)
      expect(await store.destroy('old', 600)).toBe('destroyed')
      expect(await store.destroy('old', 700)).toBe('destroyed')
      expect(await store.destroyed()).toBe(1)
      expect(await store.find('old')).toEqual({
        ...keyNamed('old'),
        replacedAt: 500,
        destroyedAt: 600,
        wrapped: Buffer.alloc(0),
      })
    })

    test('CR-05: once another root key wraps what is new, no key is taken that the one before wraps', async () => {
      const store = await empty()
      await opened?.changeRoot('root-1')
      await store.claim(keyNamed('old'))
      await opened?.changeRoot('root-2')
      expect(await store.claim(keyNamed('late', { tenant: 'other' }))).toBeUndefined()
      expect(await store.replace(keyNamed('later'), 'old', 500)).toBeUndefined()
      // The one that seals is there for all to see, whatever wraps it.
      expect(await store.claim(keyNamed('late'))).toEqual(keyNamed('old'))
      expect(await store.list()).toEqual([keyNamed('old')])
      const next = keyNamed('next', { root: 'root-2' })
      expect(await store.replace(next, 'old', 500)).toEqual(next)
      expect((await store.claim(keyNamed('new', { tenant: 'other', root: 'root-2' })))?.id).toBe('new')
    })

    test('a key is wrapped anew for the root key that follows, once, and not for one that does not', async () => {
      const store = await empty()
      await store.claim(keyNamed('old'))
      const to = { root: 'root-2', wrapped: Buffer.from('wrapped anew') }
      expect(await store.rewrap('old', 'root-9', to)).toBe(false)
      expect(await store.rewrap('old', 'root-1', to)).toBe(true)
      expect(await store.rewrap('old', 'root-1', { root: 'root-2', wrapped: Buffer.from('and again') })).toBe(true)
      expect(await store.rewrap('none', 'root-1', to)).toBe(false)
      expect(await store.find('old')).toEqual({ ...keyNamed('old'), ...to })
    })
  })
}

function keyNamed(id: string, over: Partial<WrappedKey> = {}): WrappedKey {
  return {
    id,
    tenant: 'acme',
    purpose: 'session',
    root: 'root-1',
    wrapped: Buffer.from(`wrapped ${id}`),
    createdAt: 100,
    replacedAt: undefined,
    destroyedAt: undefined,
    ...over,
  }
}
