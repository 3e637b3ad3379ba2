import { createSecretKey, randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { Fault } from '../errors.ts'
import { scopeSet } from '../policy/scopes.ts'
import { memoryIdentity } from '../store/memory/identity-stores.ts'
import { type Actor, localOperator } from './actor.ts'
import { ChangePoll } from './change-poll.ts'
import type { IdentityStores } from './identity-store.ts'
import { keyDigest } from './key-digest.ts'
import { KeyRing } from './key-ring.ts'
import type { KeyStore } from './key-store.ts'
import { Keys } from './keys.ts'
import { everyTenant } from './reach.ts'
import { type Change, Recorder } from './recorded.ts'

const start = 1_800_000_000_000
const day = 86_400_000
const digest = keyDigest(createSecretKey(randomBytes(32)))
const writer: Actor = { id: 'usr_alice', tenant: 'a', scopes: scopeSet(['read', 'write', 'files:write']) }

describe('the operations on keys', () => {
  it('AU-11: makes none of an administrator for who became an operator meanwhile', async () => {
    const { createKey } = store
    store.createKey = async (...asked) => {
      await stores.users.updateUser('a', 'usr_alice', { role: 'operator' }, {}, now)
      return createKey.apply(store, asked)
    }
    const admin: Actor = { id: 'usr_adam', tenant: 'a', scopes: scopeSet(['admin']) }
    expect(await keys.createKey({ ...request, use: 'control' }, admin)).toEqual({ ok: false, reason: 'user-unknown' })
    expect(await store.listKeys({ tenant: 'a', limit: 9 })).toEqual([])
  })

  let stores: IdentityStores
  let store: KeyStore
  let now: number
  let recorded: Change[]
  let recording: (change: Change) => Promise<void>
  let keys: Keys

  const lines = () => recorded.map(({ action, outcome }) => `${action} ${outcome}`)
  const request = { tenant: 'a', user: 'alice', name: 'laptop', scopes: ['read'] }

  const reason = async (text: string) => {
    const roles = new Map([['operator', scopeSet(['admin'])]])
    const clock = () => now
    const poll = new ChangePoll({ store: stores.installation, clock })
    const verdict = await new KeyRing({ store, poll, digest, roles, clock }).authenticate(text, 'mcp', undefined)
    return verdict.ok ? 'ok' : verdict.reason
  }

  const issue = async (over: Partial<typeof request & { lifetime: string }> = {}, by: Actor = localOperator) => {
    const issued = await keys.createKey({ ...request, ...over }, by)
    if (!issued.ok) throw new Error(issued.reason)
    return issued
  }

  beforeEach(async () => {
    stores = memoryIdentity()
    store = stores.keys
    now = start
    recorded = []
    recording = async () => undefined
    for (const [tenant, name] of [
      ['a', 'alice'],
      ['b', 'bob'],
    ] as const) {
      await stores.tenants.ensureTenant(tenant, now)
      await stores.users.createUser({ id: `usr_${name}`, tenant, name, role: 'user', status: 'active' }, now)
    }
    keys = new Keys({
      ...stores,
      store,
      digest,
      pepper: 'p1',
      random: randomBytes,
      clock: () => now,
      recorder: new Recorder(
        async (change) => {
          await recording(change)
          recorded.push(change)
        },
        () => now,
      ),
      lifetimeMs: 90 * day,
      lifetimeMsMax: 365 * day,
    })
  })

  it('makes a key that works, and tells its text once (A1)', async () => {
    const { key, text } = await issue({ scopes: ['write', 'read', 'read'] })
    expect(key).toMatchObject({ tenant: 'a', owner: 'usr_alice', name: 'laptop', scopes: ['read', 'write'] })
    expect(key).toMatchObject({ createdAt: start, expiresAt: start + 90 * day, last4: text.slice(-4) })
    expect(await reason(text)).toBe('ok')
    expect(await keys.listKeys({}, localOperator)).toEqual([key])
    expect(JSON.stringify([recorded, key, await store.findKey(key.id)])).not.toContain(text.slice(17, 60))
  })

  it('records what is meant before it is done, and what came of it before it is acknowledged (AL-03)', async () => {
    const { key } = await issue({ lifetime: '1h' })
    expect(recorded).toEqual(
      ['intended', 'done'].map((outcome) => ({
        action: 'key.create',
        outcome,
        at: start,
        by: 'local-operator',
        tenant: 'a',
        key: key.id,
        detail: { owner: 'usr_alice', name: 'laptop', use: 'mcp', scopes: ['read'], expiresAt: start + 3_600_000 },
      })),
    )
  })

  it('changes nothing that cannot be recorded first', async () => {
    const { key, text } = await issue()
    recording = () => Promise.reject(new Error('disk full'))
    await expect(keys.createKey({ ...request, name: 'two' }, localOperator)).rejects.toMatchObject({
      code: 'audit.unavailable',
    })
    await expect(keys.revokeKey(key.id, localOperator)).rejects.toMatchObject({ code: 'audit.unavailable' })
    await expect(keys.rotateKey(key.id, localOperator)).rejects.toMatchObject({ code: 'audit.unavailable' })
    await expect(keys.bootstrap()).rejects.toMatchObject({ code: 'audit.unavailable' })
    expect(await store.listKeys({ tenant: everyTenant, limit: 10 })).toEqual([key])
    expect(await reason(text)).toBe('ok')
  })

  it('revokes a new key again when that it was made cannot be recorded', async () => {
    recording = async ({ outcome }) => {
      if (outcome === 'done') throw new Error('disk full')
    }
    await expect(keys.createKey(request, localOperator)).rejects.toMatchObject({ code: 'audit.unavailable' })
    const [key] = await store.listKeys({ tenant: 'a', limit: 10 })
    expect(key?.revokedAt).toBe(start)
  })

  it('leaves a key revoked, and does not say so, when the revoke cannot be recorded as done', async () => {
    const { key, text } = await issue()
    recording = async ({ outcome }) => {
      if (outcome === 'done') throw new Error('disk full')
    }
    await expect(keys.revokeKey(key.id, localOperator)).rejects.toMatchObject({ code: 'audit.unavailable' })
    expect(await reason(text)).toBe('revoked')
  })

  it('records a change as failed when the store goes out of reach', async () => {
    store.createKey = () => Promise.reject(new Fault('store.unavailable'))
    await expect(keys.createKey(request, localOperator)).rejects.toMatchObject({ code: 'store.unavailable' })
    expect(lines()).toEqual(['key.create intended', 'key.create failed'])
  })

  it.each([
    [['admin'], 'scope-beyond-yours'],
    [['read', 'other:write'], 'scope-beyond-yours'],
    [[], 'scope-malformed'],
    [['Read'], 'scope-malformed'],
    [[''], 'scope-malformed'],
    [['read write'], 'scope-malformed'],
  ])('refuses a key with the scopes %j to one who may read, write and files:write (AK-09)', async (scopes, why) => {
    expect(await keys.createKey({ ...request, scopes }, writer)).toEqual({ ok: false, reason: why })
    expect(recorded).toEqual([])
  })

  it.each(['0', '0d', '-1d', '1e9', 'never', '366d', ''])('refuses the lifetime %j (AK-06)', async (lifetime) => {
    expect(await keys.createKey({ ...request, lifetime }, localOperator)).toEqual({
      ok: false,
      reason: 'lifetime-refused',
    })
    expect(recorded).toEqual([])
  })

  it.each(['', ' x', 'x'.repeat(65), 'a\nb', '\u202ex', 'a\u0000'])('refuses the name %j', async (name) => {
    expect(await keys.createKey({ ...request, name }, localOperator)).toEqual({ ok: false, reason: 'name-malformed' })
  })

  it('gives a name once to a user, and again after a revoke', async () => {
    const { key } = await issue()
    expect(await keys.createKey(request, localOperator)).toEqual({ ok: false, reason: 'name-taken' })
    expect(lines().at(-1)).toBe('key.create refused')
    await keys.revokeKey(key.id, localOperator)
    expect((await keys.createKey(request, localOperator)).ok).toBe(true)
  })

  it('treats what belongs to another tenant as not there (A4)', async () => {
    const theirs = await issue({ tenant: 'b', user: 'bob' })
    const unknown = { ok: false, reason: 'user-unknown' }
    expect(await keys.createKey({ ...request, tenant: 'b', user: 'bob' }, writer)).toEqual(unknown)
    expect(await keys.createKey({ ...request, user: 'bob' }, writer)).toEqual(unknown)
    const missing = { ok: false, reason: 'key-unknown' }
    expect(await keys.revokeKey(theirs.key.id, writer)).toEqual(missing)
    expect(await keys.rotateKey(theirs.key.id, writer)).toEqual(missing)
    expect(await keys.revokeKey('key_000000000000', writer)).toEqual(missing)
    expect(await keys.listKeys({}, writer)).toEqual([])
    expect(await keys.listKeys({ tenant: 'b' }, writer)).toEqual([])
    expect(await keys.listKeys({ tenant: 'a', user: 'bob' }, writer)).toEqual([])
    expect(await keys.listKeys({ tenant: 'b', user: 'bob' }, localOperator)).toEqual([theirs.key])
    expect(await reason(theirs.text)).toBe('ok')
  })

  it('revokes a key on the spot, and a second time without a change', async () => {
    const { key, text } = await issue()
    const revoked = await keys.revokeKey(key.id, localOperator)
    expect(revoked).toEqual({ ok: true, key: { ...key, revokedAt: start, version: 2 } })
    now += 5
    expect(await keys.revokeKey(key.id, localOperator)).toEqual(revoked)
    expect(await reason(text)).toBe('revoked')
  })

  it('rotates a key: the old text is good for the grace and then betrays itself (AK-10)', async () => {
    const first = await issue()
    const second = await keys.rotateKey(first.key.id, localOperator)
    if (!second.ok) throw new Error(second.reason)
    expect(second.key.id).toBe(first.key.id)
    expect(recorded.at(-1)).toMatchObject({
      action: 'key.rotate',
      outcome: 'done',
      detail: { graceUntil: start + day },
    })
    now += day - 1
    expect([await reason(first.text), await reason(second.text)]).toEqual(['ok', 'ok'])
    now += 1
    expect([await reason(first.text), await reason(second.text)]).toEqual(['retired-secret', 'ok'])
  })

  it('rotates without grace when asked to', async () => {
    const first = await issue()
    expect((await keys.rotateKey(first.key.id, localOperator, '0')).ok).toBe(true)
    expect(await reason(first.text)).toBe('retired-secret')
  })

  it('refuses to rotate what should not be', async () => {
    const strong = await issue({ scopes: ['admin'] })
    expect(await keys.rotateKey(strong.key.id, writer)).toEqual({ ok: false, reason: 'scope-beyond-yours' })
    expect(await keys.rotateKey(strong.key.id, localOperator, '8d')).toEqual({ ok: false, reason: 'grace-refused' })
    expect(await keys.rotateKey(strong.key.id, localOperator, 'forever')).toEqual({
      ok: false,
      reason: 'grace-refused',
    })
    await keys.revokeKey(strong.key.id, localOperator)
    expect(await keys.rotateKey(strong.key.id, localOperator)).toEqual({ ok: false, reason: 'key-revoked' })
    const brief = await issue({ name: 'brief', lifetime: '1m' })
    now += 60_000
    expect(await keys.rotateKey(brief.key.id, localOperator)).toEqual({ ok: false, reason: 'key-expired' })
  })

  it('makes the first key once, good for an hour (AK-11)', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => keys.bootstrap()))
    const [first, ...rest] = all.filter((each) => each !== undefined)
    expect(rest).toEqual([])
    expect(first?.key).toMatchObject({ tenant: 'default', name: 'first-start', scopes: ['admin', 'read', 'write'] })
    expect(await keys.bootstrap()).toBeUndefined()
    expect(await stores.users.findUser('default', 'operator')).toMatchObject({ role: 'operator', status: 'active' })
    now += 3_600_000 - 1
    expect(await reason(first!.text)).toBe('ok')
    now += 1
    expect(await reason(first!.text)).toBe('expired')
    expect(lines().filter((line) => line === 'installation.bootstrap done')).toHaveLength(1)
  })

  it('makes no first key on a later start, though the first one is gone', async () => {
    const first = await keys.bootstrap()
    await keys.revokeKey(first!.key.id, localOperator)
    const before = recorded.length
    expect(await keys.bootstrap()).toBeUndefined()
    expect(recorded).toHaveLength(before)
  })
})
