import { randomBytes } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { IdentityStores } from './identity-store.ts'
import { presentRevision } from './installation-store.ts'
import { mintKey } from './key-format.ts'
import type { KeyStore, NewKey, NewSecret } from './key-store.ts'
import { everyTenant } from './reach.ts'
import type { CredentialUser } from './user-store.ts'

export interface IdentityOpened {
  readonly stores: IdentityStores
  /** Another server at the same store; `undefined` where the store lives in one process. */
  readonly another: (() => Promise<IdentityStores>) | undefined
}

const now = 1_800_000_000_000
const day = 86_400_000

const alice: CredentialUser = { id: 'usr_alice', tenant: 'a', name: 'alice', role: 'user', status: 'active' }
const bob: CredentialUser = { id: 'usr_bob', tenant: 'b', name: 'bob', role: 'user', status: 'active' }

/** What a `KeyStore` is, whatever it is made of. */
export function keyStoreContract(name: string, open: () => Promise<IdentityOpened>): void {
  describe(`the key store ${name}`, () => {
    let opened: IdentityOpened
    let all: IdentityStores
    let store: KeyStore
    const others: IdentityStores[] = []

    beforeEach(async () => {
      opened = await open()
      all = opened.stores
      store = all.keys
      for (const user of [alice, bob]) {
        await all.tenants.ensureTenant(user.tenant, now)
        await all.users.createUser(user, now)
      }
    })

    afterEach(async () => {
      await Promise.all([all, ...others.splice(0)].map((each) => each.close()))
    })

    const another = async () => {
      const other = opened.another === undefined ? all : await opened.another()
      if (other !== all) others.push(other)
      return other
    }

    it('makes a tenant once', async () => {
      expect(await all.tenants.ensureTenant('c', now)).toBe(true)
      expect(await all.tenants.ensureTenant('c', now)).toBe(false)
    })

    it('makes a user once, in a tenant that is there', async () => {
      expect(await all.users.createUser({ ...alice, id: 'usr_2' }, now)).toBe('name-taken')
      expect(await all.users.createUser({ ...alice, id: 'usr_2', tenant: 'nowhere' }, now)).toBe('tenant-unknown')
      expect(await all.users.createUser({ ...alice, id: 'usr_2', tenant: 'b' }, now)).toBe('created')
      expect(await all.users.findUser('a', 'alice')).toMatchObject(alice)
      expect(await all.users.findUser('a', 'bob')).toBeUndefined()
    })

    it('finds a key with all that decides whether it is good', async () => {
      const key = newKey({ scopes: ['files:write', 'read'] })
      expect(await store.createKey(key, now)).toBe('created')
      const { pepper, ...rest } = key
      expect(await store.findKey(key.id)).toEqual({
        ...rest,
        pepper,
        agent: undefined,
        use: 'mcp',
        addressRanges: undefined,
        active: true,
        createdAt: now,
        updatedAt: now,
        revokedAt: undefined,
        lastUsedAt: undefined,
        version: 1,
        retired: [],
        user: alice,
        agentStatus: undefined,
        tenantStatus: 'active',
        tenantScopes: undefined,
      })
      expect(await store.findKey('key_000000000000')).toBeUndefined()
    })

    it('finds nothing by names that every object has', async () => {
      for (const id of ['constructor', '__proto__', 'toString', '']) expect(await store.findKey(id)).toBeUndefined()
    })

    it('keeps a key without scopes without scopes', async () => {
      const key = newKey({ scopes: [] })
      await store.createKey(key, now)
      expect((await store.findKey(key.id))?.scopes).toEqual([])
    })

    it('refuses a key for an owner who is not in its tenant', async () => {
      expect(await store.createKey(newKey({ tenant: 'b' }), now)).toBe('owner-unknown')
      expect(await store.createKey(newKey({ owner: 'usr_nobody' }), now)).toBe('owner-unknown')
      expect(await store.listKeys({ tenant: everyTenant, limit: 10 })).toEqual([])
    })

    it('gives a name to one of fifty keys made at once', async () => {
      const both = [all, await another()]
      const keys = Array.from({ length: 50 }, () => newKey({ name: 'one' }))
      const made = await Promise.all(keys.map((key, i) => both[i % 2]!.keys.createKey(key, now)))
      expect(made.filter((outcome) => outcome === 'created')).toHaveLength(1)
      expect(made.filter((outcome) => outcome === 'name-taken')).toHaveLength(49)
      expect(await store.listKeys({ tenant: 'a', limit: 100 })).toHaveLength(1)
    })

    it('frees a name when its key is revoked', async () => {
      const first = newKey({ name: 'one' })
      await store.createKey(first, now)
      await store.revokeKey('a', first.id, now)
      expect(await store.createKey(newKey({ name: 'one' }), now)).toBe('created')
    })

    it('revokes a key once: the first moment stays', async () => {
      const key = newKey()
      await store.createKey(key, now)
      expect((await store.revokeKey('a', key.id, now + 5))?.revokedAt).toBe(now + 5)
      const { revision } = await all.installation.changesSince(0)
      expect((await store.revokeKey('a', key.id, now + 9))?.revokedAt).toBe(now + 5)
      expect(await all.installation.changesSince(revision)).toEqual({
        revision,
        keys: [],
        signIns: [],
        subjects: [],
        suspended: [],
        disabled: [],
      })
      expect((await store.findKey(key.id))?.revokedAt).toBe(now + 5)
      expect(await store.revokeKey('a', 'key_000000000000', now)).toBeUndefined()
    })

    it('keeps the last eight secrets of a key, the latest first, none good for longer than the last grace', async () => {
      const key = newKey()
      await store.createKey(key, now)
      const secrets = Array.from({ length: 10 }, newSecret)
      for (const [i, secret] of secrets.entries()) {
        expect(await store.rotateKey('a', key.id, secret, now + day - i, now)).toMatchObject({
          outcome: 'rotated',
          key: { id: key.id, last4: secret.last4 },
        })
      }
      const record = await store.findKey(key.id)
      expect(record?.digest).toEqual(secrets[9]!.digest)
      expect(record?.retired.map((old) => old.digest)).toEqual(
        secrets
          .slice(1, 9)
          .reverse()
          .map((secret) => secret.digest),
      )
      expect(record?.retired.map((old) => old.graceUntil)).toEqual(Array(8).fill(now + day - 9))
    })

    it('does not lengthen the grace of an earlier secret', async () => {
      const key = newKey()
      await store.createKey(key, now)
      await store.rotateKey('a', key.id, newSecret(), now + 1, now)
      await store.rotateKey('a', key.id, newSecret(), now + day, now)
      expect((await store.findKey(key.id))?.retired.map((old) => old.graceUntil)).toEqual([now + day, now + 1])
    })

    it('refuses to rotate a key that is revoked or not there', async () => {
      const key = newKey()
      await store.createKey(key, now)
      await store.revokeKey('a', key.id, now)
      expect(await store.rotateKey('a', key.id, newSecret(), now, now)).toEqual({ outcome: 'revoked' })
      expect(await store.rotateKey('a', 'key_000000000000', newSecret(), now, now)).toEqual({ outcome: 'unknown' })
      expect((await store.findKey(key.id))?.digest).toEqual(key.digest)
    })

    it('leaves a key revoked when revokes and rotations of it race', async () => {
      const both = [all, await another()]
      const key = newKey()
      await store.createKey(key, now)
      await Promise.all(
        Array.from({ length: 20 }, (_, i) => {
          const each = both[i % 2]!.keys
          return i % 4 === 3
            ? each.revokeKey('a', key.id, now + i)
            : each.rotateKey('a', key.id, newSecret(), now + day, now)
        }),
      )
      expect((await store.findKey(key.id))?.revokedAt).toBeTypeOf('number')
    })

    it('notes when a key was last used, never backwards, never on a revoked key', async () => {
      const [used, revoked] = [newKey(), newKey()]
      for (const key of [used, revoked]) await store.createKey(key, now)
      await store.touchKeys([
        { id: used.id, at: now + 2 },
        { id: 'key_000000000000', at: now },
      ])
      await store.touchKeys([{ id: used.id, at: now + 1 }])
      await store.revokeKey('a', revoked.id, now)
      await store.touchKeys([{ id: revoked.id, at: now + 3 }])
      expect((await store.findKey(used.id))?.lastUsedAt).toBe(now + 2)
      expect(await store.findKey(revoked.id)).toMatchObject({ lastUsedAt: undefined, revokedAt: now })
    })

    it('does not let a use be told as a change, nor resurrect a key that is revoked at the same time', async () => {
      const keys = Array.from({ length: 10 }, () => newKey())
      for (const key of keys) await store.createKey(key, now)
      await Promise.all([
        ...keys.map((key) => store.revokeKey('a', key.id, now)),
        ...keys.map((key) => store.touchKeys([{ id: key.id, at: now + 1 }])),
      ])
      for (const key of keys) expect((await store.findKey(key.id))?.revokedAt).toBe(now)
      const { revision } = await all.installation.changesSince(0)
      await store.touchKeys(keys.map((key) => ({ id: key.id, at: now + 9 })))
      expect(await all.installation.changesSince(revision)).toEqual({
        revision,
        keys: [],
        signIns: [],
        subjects: [],
        suspended: [],
        disabled: [],
      })
    })

    it('pages through keys without skipping or repeating one, while others are made', async () => {
      const keys = Array.from({ length: 23 }, () => newKey())
      for (const key of keys) await store.createKey(key, now)
      const seen: string[] = []
      let after: string | undefined
      for (;;) {
        const page = await store.listKeys({ tenant: 'a', limit: 5, ...(after === undefined ? {} : { after }) })
        seen.push(...page.map((key) => key.id))
        if (page.length < 5) break
        after = page.at(-1)!.id
        await store.createKey(newKey(), now)
      }
      expect(seen).toEqual([...new Set(seen)].sort())
      expect(seen).toEqual(expect.arrayContaining(keys.map((key) => key.id)))
    })

    it('orders ids byte by byte', async () => {
      const ids = ['key_aaaaaaaaaaaa', 'key_AAAAAAAAAAAA', 'key_ZZZZZZZZZZZZ', 'key_000000000000', 'key_zzzzzzzzzzzz']
      for (const id of ids) await store.createKey(newKey({ id }), now)
      expect((await store.listKeys({ tenant: 'a', limit: 10 })).map((key) => key.id)).toEqual([
        'key_000000000000',
        'key_AAAAAAAAAAAA',
        'key_ZZZZZZZZZZZZ',
        'key_aaaaaaaaaaaa',
        'key_zzzzzzzzzzzz',
      ])
    })

    it('shows and changes nothing of another tenant (AU-04)', async () => {
      const [mine, theirs] = [newKey(), newKey({ tenant: 'b', owner: bob.id })]
      for (const key of [mine, theirs]) await store.createKey(key, now)
      expect((await store.listKeys({ tenant: 'a', limit: 10 })).map((key) => key.id)).toEqual([mine.id])
      expect(await store.listKeys({ tenant: 'a', user: bob.id, limit: 10 })).toEqual([])
      expect(await store.listKeys({ tenant: everyTenant, limit: 10 })).toHaveLength(2)
      expect(await store.revokeKey('a', theirs.id, now)).toBeUndefined()
      expect(await store.rotateKey('a', theirs.id, newSecret(), now, now)).toEqual({ outcome: 'unknown' })
      expect(await all.users.updateUser('a', bob.id, { status: 'disabled' }, {}, now)).toEqual({ outcome: 'unknown' })
      expect(await store.findKey(theirs.id)).toMatchObject({ revokedAt: undefined, retired: [], user: bob })
    })

    it('refuses a question that names no tenant (AU-04)', async () => {
      for (const lost of [undefined, null, '', 0] as unknown as string[]) {
        await expect(store.listKeys({ tenant: lost, limit: 1 })).rejects.toThrow('no tenant was named')
        await expect(store.revokeKey(lost, 'key_000000000000', now)).rejects.toThrow('no tenant was named')
        await expect(store.rotateKey(lost, 'key_000000000000', newSecret(), now, now)).rejects.toThrow('no tenant')
      }
    })

    it('shows neither secret nor digest in a list (AK-03)', async () => {
      await store.createKey(newKey(), now)
      const [key] = await store.listKeys({ tenant: 'a', limit: 1 })
      expect(Object.keys(key!).sort()).toEqual([
        'active',
        'addressRanges',
        'agent',
        'createdAt',
        'expiresAt',
        'id',
        'last4',
        'lastUsedAt',
        'name',
        'owner',
        'revokedAt',
        'scopes',
        'tenant',
        'updatedAt',
        'use',
        'version',
      ])
    })

    it('tells which keys changed, and whether they were withdrawn', async () => {
      const [kept, revoked, owned] = [newKey(), newKey(), newKey({ tenant: 'b', owner: bob.id })]
      const start = await all.installation.changesSince(0)
      for (const key of [kept, revoked, owned]) await store.createKey(key, now)
      const made = await all.installation.changesSince(start.revision)
      expect(sorted(made.keys)).toEqual(sorted([kept, revoked, owned].map(({ id }) => ({ id, withdrawn: false }))))
      expect(await all.installation.changesSince(made.revision)).toEqual({
        revision: made.revision,
        keys: [],
        signIns: [],
        subjects: [],
        suspended: [],
        disabled: [],
      })

      await store.revokeKey('a', revoked.id, now)
      await store.rotateKey('a', kept.id, newSecret(), now, now)
      await all.users.updateUser('b', bob.id, { status: 'disabled' }, {}, now)
      const after = await all.installation.changesSince(made.revision)
      expect([after.suspended, after.disabled]).toEqual([[], [bob.id]])
      expect(sorted(after.keys)).toEqual(
        sorted([
          { id: kept.id, withdrawn: false },
          { id: revoked.id, withdrawn: true },
          { id: owned.id, withdrawn: true },
        ]),
      )
      await all.users.updateUser('b', bob.id, { status: 'active' }, {}, now)
      const again = await all.installation.changesSince(after.revision)
      expect([again.keys, again.disabled]).toEqual([[{ id: owned.id, withdrawn: false }], []])
    })

    it('tells the revision of now without its history', async () => {
      await store.createKey(newKey(), now)
      const { revision } = await all.installation.changesSince(0)
      expect(await all.installation.changesSince(presentRevision)).toEqual({
        revision,
        keys: [],
        signIns: [],
        subjects: [],
        suspended: [],
        disabled: [],
      })
    })

    it('does not move the revision for a change that was refused', async () => {
      const key = newKey()
      await store.createKey(key, now)
      const { revision } = await all.installation.changesSince(0)
      await store.createKey(newKey({ name: key.name }), now)
      await store.createKey(newKey({ owner: 'usr_nobody' }), now)
      await store.revokeKey('b', key.id, now)
      await all.users.updateUser('a', 'usr_nobody', { status: 'disabled' }, {}, now)
      expect(await all.installation.changesSince(revision)).toEqual({
        revision,
        keys: [],
        signIns: [],
        subjects: [],
        suspended: [],
        disabled: [],
      })
    })

    it('misses no change while several writers are at work', async () => {
      const writers = [all, await another(), await another()]
      const reader = await another()
      let { revision } = await reader.installation.changesSince(0)
      const seen = new Set<string>()
      const poll = async () => {
        const changes = await reader.installation.changesSince(revision)
        revision = changes.revision
        for (const { id } of changes.keys) seen.add(id)
      }
      const keys = Array.from({ length: 60 }, () => newKey())
      let writing = true
      const written = Promise.all(
        writers.map(async (writer, w) => {
          for (const [i, key] of keys.entries()) if (i % 3 === w) await writer.keys.createKey(key, now)
        }),
      ).finally(() => {
        writing = false
      })
      while (writing) {
        await poll()
        // A store that answers at once would otherwise never let the writers' timers run.
        await turn()
      }
      await written
      await poll()
      expect([...seen].sort()).toEqual(keys.map((key) => key.id).sort())
    })

    it('takes the first start once, however many begin at once', async () => {
      const both = [all, await another()]
      const first = await Promise.all(
        Array.from({ length: 10 }, (_, i) => {
          const user: CredentialUser = {
            ...alice,
            id: `usr_first${i}`,
            tenant: 'default',
            name: 'operator',
            role: 'operator',
          }
          const key = newKey({ tenant: 'default', owner: user.id, name: 'first-start' })
          return both[i % 2]!.installation.createFirst('default', user, key, now)
        }),
      )
      expect(first.filter(Boolean)).toHaveLength(1)
      expect(await store.listKeys({ tenant: 'default', limit: 10 })).toHaveLength(1)
      expect(await all.installation.findFact('first-start')).toBe(String(now))
    })

    it('keeps the fact that was claimed first (CR-12)', async () => {
      const both = [all, await another()]
      expect(await all.installation.findFact('pepper')).toBeUndefined()
      const claims = await Promise.all(
        Array.from({ length: 10 }, (_, i) => both[i % 2]!.installation.claimFact('pepper', `check-${i}`)),
      )
      expect(new Set(claims).size).toBe(1)
      expect(await all.installation.findFact('pepper')).toBe(claims[0])
    })

    it('still has everything after it is opened again', async (context) => {
      if (opened.another === undefined) context.skip('this store lives in one process')
      const [kept, revoked] = [newKey(), newKey()]
      for (const key of [kept, revoked]) await store.createKey(key, now)
      await store.revokeKey('a', revoked.id, now)
      await store.touchKeys([{ id: kept.id, at: now + 1 }])
      await store.rotateKey('a', kept.id, newSecret(), now + day, now)
      const before = await Promise.all([kept, revoked].map((key) => store.findKey(key.id)))
      const { revision } = await all.installation.changesSince(0)
      await all.close()
      const again = await another()
      expect(await Promise.all([kept, revoked].map((key) => again.keys.findKey(key.id)))).toEqual(before)
      expect(before[0]?.retired).toHaveLength(1)
      expect(await again.installation.changesSince(revision)).toEqual({
        revision,
        keys: [],
        signIns: [],
        subjects: [],
        suspended: [],
        disabled: [],
      })
    })

    it('answers unavailable, and not unknown, once it is closed', async (context) => {
      if (opened.another === undefined) context.skip('this store lives in one process')
      const key = newKey()
      await store.createKey(key, now)
      await all.close()
      await expect(store.findKey(key.id)).rejects.toMatchObject({ code: 'store.unavailable' })
      await expect(store.revokeKey('a', key.id, now)).rejects.toMatchObject({ code: 'store.unavailable' })
      await expect(all.installation.changesSince(0)).rejects.toMatchObject({ code: 'store.unavailable' })
    })
  })
}

function newSecret(): NewSecret {
  return { digest: randomBytes(32), pepper: 'pepper-1', last4: randomBytes(2).toString('hex') }
}

function newKey(over: Partial<NewKey> = {}): NewKey {
  const { id } = mintKey(randomBytes)
  return {
    id,
    tenant: 'a',
    owner: alice.id,
    name: `name of ${id}`,
    scopes: ['read'],
    expiresAt: now + 90 * day,
    ...newSecret(),
    ...over,
  }
}

function sorted<T extends { id: string }>(keys: readonly T[]): T[] {
  return [...keys].sort((left, right) => (left.id < right.id ? -1 : 1))
}
