import { createSecretKey, randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import type { ScopeSet } from '../call.ts'
import { Fault } from '../errors.ts'
import { scopeSet } from '../policy/scopes.ts'
import { IdentityState } from '../store/memory/identity-state.ts'
import { MemoryInstallationStore, memoryIdentity } from '../store/memory/identity-stores.ts'
import { MemoryKeyStore } from '../store/memory/key-store.ts'
import { ChangePoll, type Schedule } from './change-poll.ts'
import type { IdentityStores } from './identity-store.ts'
import { keyDigest } from './key-digest.ts'
import { mintKey } from './key-format.ts'
import { KeyRing, type KeyRingParts } from './key-ring.ts'
import type { KeyRecord, KeyUse, NewKey } from './key-store.ts'
import type { Verdict } from './key-verdict.ts'

const start = 1_800_000_000_000
const minute = 60_000
const digest = keyDigest(createSecretKey(randomBytes(32)))
const roles = new Map<string, ScopeSet>([
  ['user', scopeSet(['read', 'write'])],
  ['operator', scopeSet(['read', 'write', 'admin'])],
  ['nobody', scopeSet([])],
])

/** The store in memory, with look-ups counted and outages on demand. */
class TestStore extends MemoryKeyStore {
  lookUps = 0
  /** For each look-up, whether a key was found. */
  found: boolean[] = []
  down = false
  touches: (readonly KeyUse[])[] = []
  /** Runs after a look-up has read and before it answers. */
  beforeAnswer: () => Promise<void> = async () => undefined

  override async findKey(id: string): Promise<KeyRecord | undefined> {
    this.lookUps++
    this.reach()
    const record = await super.findKey(id)
    this.found.push(record !== undefined)
    await this.beforeAnswer()
    return record
  }

  override async touchKeys(uses: readonly KeyUse[]): Promise<void> {
    this.touches.push(uses)
    this.reach()
    return super.touchKeys(uses)
  }

  reach(): void {
    if (this.down) throw new Fault('store.unavailable')
  }
}

describe('the key ring', () => {
  let stores: IdentityStores
  let store: TestStore
  let installation: MemoryInstallationStore
  let poll: ChangePoll
  let now: number
  let timers: { run: () => void; at: number }[]
  let ring: KeyRing

  const schedule: Schedule = (run, delayMs) => {
    const timer = { run, at: now + delayMs }
    timers.push(timer)
    return () => {
      if (timers.includes(timer)) timers.splice(timers.indexOf(timer), 1)
    }
  }

  /** A ring with a poll of its own, which it tells of what it reports. */
  const newRing = (over: Pick<KeyRingParts, 'rememberedMax'> & { report?: (what: string) => void } = {}) => {
    const { report = () => undefined } = over
    const changesSince = async (revision: number) => {
      store.reach()
      return installation.changesSince(revision)
    }
    poll = new ChangePoll({ store: { changesSince }, clock: () => now, schedule, report })
    return new KeyRing({ ...over, store, poll, digest, roles, clock: () => now, schedule, report })
  }

  const started = async (made: KeyRing) => {
    await poll.start()
    made.start()
    return made
  }

  const setStatus = (status: 'active' | 'disabled') => stores.users.updateUser('a', 'usr_1', { status }, {}, now)

  /** Lets time pass in steps of a poll, with what the timers begin brought to its end. */
  const pass = async (ms: number) => {
    for (const end = now + ms; now < end; ) {
      now = Math.min(end, now + 250)
      for (const timer of timers.filter((each) => each.at <= now)) {
        timers.splice(timers.indexOf(timer), 1)
        timer.run()
      }
      await new Promise(setImmediate)
    }
  }

  const newKey = async (over: Partial<NewKey> = {}) => {
    const { text, id, last4 } = mintKey(randomBytes)
    const key = { id, last4, tenant: 'a', owner: 'usr_1', name: id, scopes: ['read'], expiresAt: now + 60 * minute }
    await store.createKey({ ...key, digest: digest(text), pepper: 'p', ...over }, now)
    return { id, text }
  }

  const rotated = async (id: string, graceUntil: number) => {
    const { text, last4 } = mintKey(randomBytes, id)
    await store.rotateKey('a', id, { digest: digest(text), pepper: 'p', last4 }, graceUntil, now)
    return text
  }

  const reason = async (text: string) => {
    const verdict = await ring.authenticate(text, 'mcp', '127.0.0.1')
    return verdict.ok ? 'ok' : verdict.reason
  }

  beforeEach(async () => {
    const state = new IdentityState()
    stores = memoryIdentity(state)
    store = new TestStore(state)
    installation = new MemoryInstallationStore(state)
    now = start
    timers = []
    await stores.tenants.ensureTenant('a', now)
    await stores.users.createUser({ id: 'usr_1', tenant: 'a', name: 'alice', role: 'user', status: 'active' }, now)
    ring = await started(newRing())
  })

  it('says who acts, and what they may do', async () => {
    const { id, text } = await newKey({ scopes: ['admin'] })
    const verdict = await ring.authenticate(text, 'mcp', '127.0.0.1')
    expect(verdict).toEqual({
      ok: true,
      principal: {
        id: 'usr_1',
        kind: 'user',
        tenant: 'a',
        credential: id,
        role: 'user',
        granted: new Set(['read', 'write']),
        effective: new Set(['read', 'write']),
        expiresAt: start + 60 * minute,
        binding: `a\nuser\nusr_1\n${id}`,
      },
    })
    expect(Object.isFrozen(verdict) && Object.isFrozen((verdict as { principal: object }).principal)).toBe(true)
  })

  it('narrows a key to its own scopes, and to nothing where the role grants nothing or is not known (AK-08)', async () => {
    const effective = async (role: string, scopes: string[]) => {
      const owner = `usr_${role}_${randomBytes(3).toString('hex')}`
      await stores.users.createUser({ id: owner, tenant: 'a', name: owner, role, status: 'active' }, now)
      const verdict = await ring.authenticate((await newKey({ owner, scopes })).text, 'mcp', '127.0.0.1')
      return verdict.ok && [...verdict.principal.effective]
    }
    expect(await effective('operator', ['read'])).toEqual(['read'])
    expect(await effective('user', ['read', 'admin:keys'])).toEqual(['read'])
    expect(await effective('nobody', ['admin'])).toEqual([])
    expect(await effective('constructor', ['admin'])).toEqual([])
  })

  it('answers at once, with the same objects, for a key it remembers', async () => {
    const { text } = await newKey()
    const first = await ring.authenticate(text, 'mcp', '127.0.0.1')
    const second = ring.authenticate(text, 'mcp', '127.0.0.1')
    expect(second).not.toBeInstanceOf(Promise)
    expect(second).toBe(first)
    expect(store.lookUps).toBe(1)
  })

  it('refuses text that cannot be a key without a look-up (AK-01)', async () => {
    const { text } = await newKey()
    for (const bad of [
      '',
      'constructor',
      '__proto__',
      'x'.repeat(10_240),
      `${text.slice(0, -1)}~`,
      text.slice(0, -1),
    ]) {
      expect(ring.authenticate(bad, 'mcp', '127.0.0.1')).toEqual({
        ok: false,
        reason: 'malformed',
        credential: undefined,
      })
    }
    expect(store.lookUps).toBe(0)
  })

  it('tells an unknown id from a wrong secret, after the same look-ups for each (AK-04)', async () => {
    const { id, text } = await newKey()
    await ring.authenticate(text, 'mcp', '127.0.0.1')
    const asked: boolean[][] = []
    for (const bad of [mintKey(randomBytes).text, mintKey(randomBytes, id).text]) {
      store.found = []
      expect(await reason(bad)).toBe(asked.length === 0 ? 'unknown' : 'secret')
      asked.push(store.found.sort())
    }
    expect(asked).toEqual([
      [false, true],
      [false, true],
    ])
  })

  it('remembers nothing about ids that are not there', async () => {
    ring = await started(newRing({ rememberedMax: 4 }))
    const good = await newKey()
    await ring.authenticate(good.text, 'mcp', '127.0.0.1')
    for (let i = 0; i < 20; i++) await ring.authenticate(mintKey(randomBytes).text, 'mcp', '127.0.0.1')
    expect(ring.authenticate(good.text, 'mcp', '127.0.0.1')).not.toBeInstanceOf(Promise)
  })

  it('refuses a key from the moment it expires on', async () => {
    const { text } = await newKey({ expiresAt: now + 10 })
    expect(await reason(text)).toBe('ok')
    now += 9
    expect(await reason(text)).toBe('ok')
    now += 1
    expect(await reason(text)).toBe('expired')
  })

  it('refuses a revoked key within a second, and tells those who listen (AK-07)', async () => {
    const withdrawn: string[] = []
    ring.news.onWithdrawn((credential) => withdrawn.push(credential))
    const { id, text } = await newKey()
    expect(await reason(text)).toBe('ok')
    await store.revokeKey('a', id, now)
    await pass(250)
    expect(await reason(text)).toBe('revoked')
    expect(withdrawn).toEqual([id])
  })

  it('does not take a key for changed that it has known only as it is', async () => {
    const changed: string[] = []
    ring.news.onChanged((credential) => changed.push(credential))
    const { text } = await newKey()
    expect(await reason(text)).toBe('ok')
    await pass(250)
    expect(changed).toEqual([])
  })

  it('tells that a key is good but not as it was, and tells it apart from one that is good no more (AU-09)', async () => {
    const changed: string[] = []
    const withdrawn: string[] = []
    const stop = ring.news.onChanged((credential) => changed.push(credential))
    ring.news.onWithdrawn((credential) => withdrawn.push(credential))
    const { id, text } = await newKey()
    await pass(250)
    changed.length = 0
    expect(await reason(text)).toBe('ok')
    await store.rotateKey('a', id, { digest: Buffer.alloc(32, 9), pepper: 'p', last4: 'abcd' }, now, now)
    await pass(250)
    expect(changed).toEqual([id])
    expect(withdrawn).toEqual([])
    stop()
    await store.revokeKey('a', id, now)
    await pass(250)
    expect(changed).toEqual([id])
    expect(withdrawn).toEqual([id])
  })

  it('refuses a revoked key on the very next call after a refresh', async () => {
    const { id, text } = await newKey()
    expect(await reason(text)).toBe('ok')
    await store.revokeKey('a', id, now)
    await poll.refresh()
    expect(await reason(text)).toBe('revoked')
  })

  it('refuses the keys of a disabled user, and admits them when the user is active again', async () => {
    const withdrawn: string[] = []
    const stop = ring.news.onWithdrawn((credential) => withdrawn.push(credential))
    const { id, text } = await newKey()
    expect(await reason(text)).toBe('ok')
    await setStatus('disabled')
    await pass(250)
    expect(await reason(text)).toBe('owner-disabled')
    expect(withdrawn).toEqual([id])
    stop()
    await setStatus('active')
    expect(await reason(text)).toBe('ok')
  })

  it('tells those who listen that a key has expired, though one of them throws', async () => {
    const withdrawn: string[] = []
    const reported: string[] = []
    ring = await started(newRing({ report: (what) => reported.push(what) }))
    ring.news.onWithdrawn(() => {
      throw new Error('a listener of ours')
    })
    ring.news.onWithdrawn((credential) => withdrawn.push(credential))
    const [first, second] = [await newKey({ expiresAt: now + 300 }), await newKey({ expiresAt: now + 900 })]
    for (const { text } of [first, second]) expect(await reason(text)).toBe('ok')
    await pass(250)
    expect(withdrawn).toEqual([])
    await pass(250)
    expect(withdrawn).toEqual([first.id])
    await pass(500)
    expect(withdrawn).toEqual([first.id, second.id])
    expect(reported).toEqual(['listener', 'listener'])
  })

  it('admits both secrets of a rotated key until the grace ends, and then knows the old one (AK-10)', async () => {
    const { id, text: old } = await newKey()
    expect(await reason(old)).toBe('ok')
    const fresh = await rotated(id, now + minute)
    expect(await reason(fresh)).toBe('ok')
    await pass(minute - 1)
    expect([await reason(old), await reason(fresh)]).toEqual(['ok', 'ok'])
    await pass(1)
    expect([await reason(old), await reason(fresh)]).toEqual(['retired-secret', 'ok'])
  })

  it('ends every earlier secret when a later rotation gives no grace', async () => {
    const { id, text: first } = await newKey()
    const second = await rotated(id, now + minute)
    const third = await rotated(id, now)
    expect(await Promise.all([first, second, third].map(reason))).toEqual(['retired-secret', 'retired-secret', 'ok'])
  })

  it('does not trust its memory when the last poll is older than a second', async () => {
    const { text } = await newKey()
    await ring.authenticate(text, 'mcp', '127.0.0.1')
    store.lookUps = 0
    now += 1_000
    expect(ring.authenticate(text, 'mcp', '127.0.0.1')).not.toBeInstanceOf(Promise)
    now += 1
    expect(await reason(text)).toBe('ok')
    expect(store.lookUps).toBe(1)
  })

  it('does not trust its memory when the clock was set back', async () => {
    const { text } = await newKey()
    await ring.authenticate(text, 'mcp', '127.0.0.1')
    store.lookUps = 0
    now -= 1
    expect(await reason(text)).toBe('ok')
    expect(store.lookUps).toBe(1)
  })

  it('answers unavailable, and never invalid, while the store is out of reach', async () => {
    const reported: string[] = []
    ring = await started(newRing({ report: (what) => reported.push(what) }))
    const { id, text } = await newKey()
    expect(await reason(text)).toBe('ok')
    store.down = true
    await pass(1_000)
    expect(await reason(text)).toBe('ok')
    await expect(ring.authenticate(mintKey(randomBytes).text, 'mcp', '127.0.0.1')).rejects.toMatchObject({
      code: 'store.unavailable',
    })
    await pass(1)
    await expect(ring.authenticate(text, 'mcp', '127.0.0.1')).rejects.toMatchObject({ code: 'store.unavailable' })
    expect(reported).toEqual(['poll'])

    store.down = false
    await store.revokeKey('a', id, now)
    await pass(250)
    expect(await reason(text)).toBe('revoked')
  })

  it('reports an error of the store that is not a Fault as an outage', async () => {
    store.beforeAnswer = () => Promise.reject(new TypeError('a bug'))
    await expect(ring.authenticate(mintKey(randomBytes).text, 'mcp', '127.0.0.1')).rejects.toMatchObject({
      code: 'store.unavailable',
    })
  })

  it('does not remember what it read before a change that it has already been told of', async () => {
    const { id, text } = await newKey()
    await poll.refresh()
    store.beforeAnswer = async () => {
      await store.revokeKey('a', id, now)
      await poll.refresh()
    }
    expect(await reason(text)).toBe('ok')
    store.beforeAnswer = async () => undefined
    expect(await reason(text)).toBe('revoked')
  })

  it('forgets everything when the store was put back from a backup', async () => {
    const { text } = await newKey()
    await ring.authenticate(text, 'mcp', '127.0.0.1')
    installation.changesSince = async () => ({
      revision: 0,
      keys: [],
      signIns: [],
      subjects: [],
      suspended: [],
      disabled: [],
    })
    await poll.refresh()
    store.lookUps = 0
    await ring.authenticate(text, 'mcp', '127.0.0.1')
    expect(store.lookUps).toBe(1)
  })

  it('notes the last use every 30 seconds and at the end, once for each key (AK-12)', async () => {
    const { id, text } = await newKey()
    for (let i = 0; i < 5; i++) {
      await ring.authenticate(text, 'mcp', '127.0.0.1')
      now += 1
    }
    await pass(30_000)
    expect(store.touches).toEqual([[{ id, at: start + 4 }]])
    const again = now
    await ring.authenticate(text, 'mcp', '127.0.0.1')
    await poll.close()
    await ring.close()
    expect((await store.findKey(id))?.lastUsedAt).toBe(again)
    expect(timers).toEqual([])
  })

  it('admits a key though its use cannot be noted (AK-12)', async () => {
    const reported: string[] = []
    ring = await started(newRing({ report: (what) => reported.push(what) }))
    const { text } = await newKey()
    await ring.authenticate(text, 'mcp', '127.0.0.1')
    store.down = true
    await ring.flush()
    expect(reported).toEqual(['last-used'])
    expect((ring.authenticate(text, 'mcp', '127.0.0.1') as Verdict).ok).toBe(true)
  })

  it('asks the store each time until it has been started', async () => {
    ring = newRing()
    const { text } = await newKey()
    for (let i = 0; i < 2; i++) expect(await reason(text)).toBe('ok')
    expect(store.lookUps).toBe(2)
  })

  it('keeps no secret where it could be read', async () => {
    const { text } = await newKey()
    await ring.authenticate(text, 'mcp', '127.0.0.1')
    expect(JSON.stringify(await ring.authenticate(text, 'mcp', '127.0.0.1'))).not.toContain(text.slice(17, 40))
  })
})
