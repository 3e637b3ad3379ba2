import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Session, SessionCaps, SessionPage, SessionStore } from './session-store.ts'

export interface SessionStoreOpened {
  readonly store: SessionStore
  close?(): Promise<void>
}

const now = 1_800_000_000_000
const idleMs = 60_000
const durationMs = 600_000
const wide: SessionCaps = { perPrincipal: 1_000, perTenant: 1_000, total: 1_000 }

let opened = 0
const sessionOf = (binding: string, change: Partial<Session> = {}): Session => ({
  id: `session-${++opened}`,
  tenant: 'a',
  binding,
  principal: `usr_${binding}`,
  credential: `key_${binding}`,
  version: '2025-11-25',
  client: { name: 'c', version: '1', capabilities: { sampling: {}, roots: { listChanged: true } } },
  openedAt: now,
  expiresAt: now + durationMs,
  logLevel: undefined,
  subscriptions: undefined,
  ...change,
})

const withoutId = ({ id: _held, ...session }: Session) => session

/** What a `SessionStore` is, whatever it is made of. `open` gives an empty one whose sessions end after `idleMs` without use. */
export function sessionStoreContract(name: string, open: (idleMs: number) => Promise<SessionStoreOpened>): void {
  describe(`the session store ${name}`, () => {
    let opened: SessionStoreOpened
    let store: SessionStore
    /** The ids of the sessions that we were told are over. */
    let over: string[]

    beforeEach(async () => {
      opened = await open(idleMs)
      store = opened.store
      over = []
      store.onOver((id) => over.push(id))
    })
    afterEach(() => opened.close?.())

    const put = async (session: Session, at = now) => {
      expect(await store.open(session, wide, at)).toBe('opened')
      return session
    }
    const isThere = async ({ id, binding }: Session, at = now) => (await store.find(id, binding, at)) !== undefined

    test('finds a session with all that it was opened with', async () => {
      const whole = sessionOf('alice', { logLevel: 'error', subscriptions: new Set(['note://1']) })
      const bare = sessionOf('alice', { client: { name: undefined, version: undefined, capabilities: {} } })
      for (const session of [whole, bare]) {
        await put({ ...session })
        expect(await store.find(session.id, 'alice', now)).toEqual(session)
      }
    })

    test('SE-03: is found by the principal that opened it, and by nobody else', async () => {
      const session = await put(sessionOf('alice'))
      for (const binding of ['bob', '', 'alic', 'alice ', 'Alice'])
        expect(await store.find(session.id, binding, now)).toBeUndefined()
      expect(await isThere(session)).toBe(true)
    })

    test('SE-03: a look finds what a use would, as it is now, and is no use', async () => {
      const session = await put(sessionOf('alice'))
      expect(await store.peek(session.id, 'alice', now)).toEqual(session)
      expect(await store.peek(session.id, 'bob', now)).toBeUndefined()
      expect(await store.peek('none', 'alice', now)).toBeUndefined()
      await store.update(session.id, { subscriptions: new Set(['note://1']) }, now)
      expect((await store.peek(session.id, 'alice', now))?.subscriptions).toEqual(new Set(['note://1']))
      expect(await store.peek(session.id, 'alice', now + idleMs - 1)).toBeDefined()
      expect(await store.peek(session.id, 'alice', now + idleMs)).toBeUndefined()
      expect(await isThere(session, now + idleMs)).toBe(false)
    })

    test('finds nothing by an id that was never given', async () => {
      await put(sessionOf('alice'))
      for (const id of ['', 'none', 'constructor', '__proto__', "' OR 1=1 --"])
        expect(await store.find(id, 'alice', now)).toBeUndefined()
    })

    test('SE-05: ends with its last millisecond, on reading', async () => {
      const session = await put(sessionOf('alice', { expiresAt: now + 100 }))
      expect(await isThere(session, now + 99)).toBe(true)
      expect(await isThere(session, now + 100)).toBe(false)
    })

    test('SE-05: ends when it was not used for too long, and each use puts that off', async () => {
      const session = await put(sessionOf('alice'))
      expect(await isThere(session, now + idleMs - 1)).toBe(true)
      expect(await isThere(session, now + 2 * idleMs - 2)).toBe(true)
      expect(await isThere(session, now + 3 * idleMs - 2)).toBe(false)
    })

    test('SE-03: a look by somebody else is no use', async () => {
      const session = await put(sessionOf('alice'))
      await store.find(session.id, 'bob', now + idleMs - 1)
      expect(await isThere(session, now + idleMs)).toBe(false)
    })

    test('use does not put off its end', async () => {
      const session = await put(sessionOf('alice', { expiresAt: now + idleMs + 1 }))
      expect(await isThere(session, now + idleMs - 1)).toBe(true)
      expect(await isThere(session, now + idleMs + 1)).toBe(false)
    })

    test('keeps what the client sets', async () => {
      const session = await put(sessionOf('alice'))
      const other = await put(sessionOf('alice'))
      await store.update(session.id, { logLevel: 'debug' }, now)
      await store.update(session.id, { subscriptions: new Set(['a://1', 'a://2']) }, now)
      const found = await store.find(session.id, 'alice', now)
      expect(found?.logLevel).toBe('debug')
      expect([...(found?.subscriptions ?? [])].sort()).toEqual(['a://1', 'a://2'])
      expect((await store.find(other.id, 'alice', now))?.logLevel).toBeUndefined()
    })

    test('changes that come at once are all made, each of what the one before it left', async () => {
      const { id } = await put(sessionOf('alice'))
      const uris = Array.from({ length: 4 }, (_, at) => `a://${at}`)
      const add = (uri: string) =>
        store.update(id, ({ subscriptions }) => ({ subscriptions: new Set(subscriptions).add(uri) }), now)
      await Promise.all(uris.map(add))
      const found = await store.peek(id, 'alice', now)
      expect([...(found?.subscriptions ?? [])].sort()).toEqual(uris)
    })

    test('a change that throws changes nothing', async () => {
      const session = await put(sessionOf('alice', { logLevel: 'error' }))
      const refuse = async () =>
        store.update(
          session.id,
          () => {
            throw new RangeError('too many')
          },
          now,
        )
      await expect(refuse()).rejects.toThrow('too many')
      expect((await store.find(session.id, 'alice', now))?.logLevel).toBe('error')
    })

    test('a change to a session that is gone does nothing', async () => {
      const session = await put(sessionOf('alice'))
      await store.end(session.id, 'alice', now)
      await store.update(session.id, { logLevel: 'debug' }, now)
      await store.update('none', { logLevel: 'debug' }, now)
      expect(await isThere(session)).toBe(false)
    })

    test('SE-10: is ended once, and only by the principal that opened it', async () => {
      const session = await put(sessionOf('alice'))
      expect(await store.end(session.id, 'bob', now)).toBe(false)
      expect(await isThere(session)).toBe(true)
      const ends = await Promise.all(Array.from({ length: 10 }, async () => store.end(session.id, 'alice', now)))
      expect(ends.filter(Boolean)).toHaveLength(1)
      expect(await isThere(session)).toBe(false)
      expect(await store.end('none', 'alice', now)).toBe(false)
    })

    test('one that has expired cannot be ended any more', async () => {
      const session = await put(sessionOf('alice'))
      expect(await store.end(session.id, 'alice', session.expiresAt)).toBe(false)
    })

    const nothing = { credentials: [], principals: [], tenants: [], upTo: 0 }
    const left = async () =>
      (await store.list({ everyTenant: true }, { limit: 100 }, now)).map(({ session }) => session.binding).sort()

    test('AK-07: ends all that was opened with a credential at once, tells it once, and ends no other', async () => {
      const ids = []
      for (let each = 0; each < 3; each++) ids.push((await put(sessionOf('alice'))).id)
      const other = await put(sessionOf('bob'))
      const alice = { ...nothing, credentials: [{ credential: 'key_alice' }, { credential: 'key_nobody' }] }
      expect(await store.endWithdrawn(alice, now)).toBe(3)
      expect(await store.endWithdrawn(alice, now)).toBe(0)
      expect(over.sort()).toEqual(ids.sort())
      for (const id of ids) expect(await store.find(id, 'alice', now)).toBeUndefined()
      expect(await isThere(other)).toBe(true)
      expect(await store.count(now)).toBe(1)
    })

    test('AK-07: one of two credentials of a principal takes its own sessions with it', async () => {
      await put(sessionOf('laptop', { principal: 'usr_alice' }))
      await put(sessionOf('phone', { principal: 'usr_alice' }))
      expect(await store.endWithdrawn({ ...nothing, credentials: [{ credential: 'key_phone' }] }, now)).toBe(1)
      expect(await left()).toEqual(['laptop'])
      expect(await store.endWithdrawn({ ...nothing, principals: ['usr_nobody', 'usr_alice'] }, now)).toBe(1)
      expect(await left()).toEqual([])
    })

    test('AU-04: what is withdrawn in one tenant goes on in another, and a tenant ends whole', async () => {
      for (const tenant of ['a', 'b', 'c'])
        await put(sessionOf(`alice in ${tenant}`, { tenant, credential: 'subject' }))
      await put(sessionOf('bob in a'))
      await put(sessionOf('bob in b', { tenant: 'b' }))
      expect(await store.endWithdrawn({ ...nothing, credentials: [{ credential: 'subject', tenant: 'a' }] }, now)).toBe(
        1,
      )
      expect(await left()).toEqual(['alice in b', 'alice in c', 'bob in a', 'bob in b'])
      expect(await store.endWithdrawn({ ...nothing, tenants: ['b', 'nowhere'] }, now)).toBe(2)
      expect(await left()).toEqual(['alice in c', 'bob in a'])
    })

    test('remembers up to where it ended what was withdrawn, and never goes back', async () => {
      const before = (await store.withdrawnUpTo()) ?? 0
      await store.endWithdrawn({ ...nothing, upTo: before + 7 }, now)
      expect(await store.withdrawnUpTo()).toBe(before + 7)
      await store.endWithdrawn({ ...nothing, upTo: before + 3 }, now)
      expect(await store.withdrawnUpTo()).toBe(before + 7)
    })

    test('ends very many at once, and places are free again', async () => {
      const credentials = Array.from({ length: 1_201 }, (_, at) => ({ credential: `key_${at}` }))
      for (const at of [0, 499, 500, 1_200]) await put(sessionOf(String(at)))
      expect(await store.endWithdrawn({ ...nothing, credentials }, now)).toBe(4)
      expect(await store.open(sessionOf('0'), { ...wide, total: 1 }, now)).toBe('opened')
    })

    test('what is withdrawn while sessions open ends each of them or finds it not there yet', async () => {
      const withdrawals = { ...nothing, credentials: [{ credential: 'key_alice' }] }
      const opened = Array.from({ length: 20 }, () => sessionOf('alice'))
      const all = opened.map(async (session) => store.open(session, wide, now))
      const ended = await store.endWithdrawn(withdrawals, now)
      await Promise.all(all)
      expect((await store.endWithdrawn(withdrawals, now)) + ended).toBe(20)
      expect(await store.count(now)).toBe(0)
      expect(over.sort()).toEqual(opened.map(({ id }) => id).sort())
    })

    test.each<[keyof SessionCaps, Partial<Session>, Partial<Session>]>([
      ['perPrincipal', { binding: 'alice' }, { binding: 'bob' }],
      ['perTenant', { tenant: 'a' }, { tenant: 'b' }],
    ])('SE-06: %s holds exactly, and those that are open go on', async (cap, full, free) => {
      const caps = { ...wide, [cap]: 2 }
      const first = sessionOf('alice', full)
      const second = sessionOf('alice', full)
      expect(await store.open(first, caps, now)).toBe('opened')
      expect(await store.open(second, caps, now)).toBe('opened')
      const third = sessionOf('alice', full)
      expect(await store.open(third, caps, now)).toBe('full')
      expect(await isThere(third)).toBe(false)
      expect((await isThere(first)) && (await isThere(second))).toBe(true)
      expect(await store.open(sessionOf('alice', free), caps, now)).toBe('opened')
      await store.end(first.id, 'alice', now)
      expect(await store.open(third, caps, now)).toBe('opened')
      expect(await store.open(sessionOf('alice', full), caps, now)).toBe('full')
    })

    test('SE-06: total holds exactly, whoever opens', async () => {
      const caps = { ...wide, total: 2 }
      for (const who of ['alice', 'bob'])
        expect(await store.open(sessionOf(who, { tenant: who }), caps, now)).toBe('opened')
      expect(await store.open(sessionOf('carol', { tenant: 'c' }), caps, now)).toBe('full')
    })

    test('an expired session holds no place', async () => {
      const caps = { ...wide, perPrincipal: 1 }
      await store.open(sessionOf('alice', { expiresAt: now + 10 }), caps, now)
      expect(await store.open(sessionOf('alice'), caps, now + 9)).toBe('full')
      expect(await store.open(sessionOf('alice'), caps, now + 10)).toBe('opened')
    })

    test('fifty that open at once with a cap of ten are ten', async () => {
      const caps = { ...wide, perPrincipal: 10 }
      const all = await Promise.all(Array.from({ length: 50 }, async () => store.open(sessionOf('alice'), caps, now)))
      expect(all.filter((each) => each === 'opened')).toHaveLength(10)
      expect(await store.count(now)).toBe(10)
    })

    test('a sweep drops what is over and tells it once, whether somebody looked for it or not', async () => {
      const brief = await put(sessionOf('alice', { expiresAt: now + 10 }))
      const looked = await put(sessionOf('alice', { expiresAt: now + 10 }))
      const ended = await put(sessionOf('alice', { expiresAt: now + 10 }))
      const long = await put(sessionOf('alice'))
      expect(await store.sweep(now + 9)).toBe(0)
      expect(await isThere(looked, now + 10)).toBe(false)
      await store.end(ended.id, 'alice', now)
      expect(over).toEqual([ended.id])
      expect(await store.sweep(now + 10)).toBe(2)
      expect(over.sort()).toEqual([brief.id, looked.id, ended.id].sort())
      expect(await store.sweep(now + 10)).toBe(0)
      expect(await isThere(long, now + 10)).toBe(true)
      expect(over).toHaveLength(3)
    })

    test('one that gave way to a new one is told to be over', async () => {
      const caps = { ...wide, perPrincipal: 1 }
      const old = sessionOf('alice', { expiresAt: now + 10 })
      await store.open(old, caps, now)
      await store.open(sessionOf('alice'), caps, now + 10)
      await store.sweep(now + 10)
      expect(over).toEqual([old.id])
    })

    const everyTenant = { everyTenant: true } as const

    test('an administrator sees the sessions of the tenant, page by page, each once', async () => {
      const opened: Session[] = []
      for (let each = 0; each < 5; each++) opened.push(await put(sessionOf(`user${each}`)))
      const other = await put(sessionOf('bob', { tenant: 'b' }))
      const first = await store.list({ tenant: 'a' }, { limit: 2 }, now)
      const second = await store.list({ tenant: 'a' }, { limit: 2, after: first.at(-1)!.id }, now)
      const last = await store.list({ tenant: 'a' }, { limit: 2, after: second.at(-1)!.id }, now)
      const pages = [...first, ...second, ...last]
      expect(pages).toHaveLength(5)
      expect(new Set(pages.map(({ session }) => session.binding))).toEqual(new Set(opened.map((each) => each.binding)))
      expect(pages.map(({ id }) => id)).toEqual(pages.map(({ id }) => id).sort())
      expect(await store.list(everyTenant, { limit: 10 }, now)).toHaveLength(6)
      expect((await store.list({ tenant: 'b' }, { limit: 10 }, now)).map(({ session }) => session)).toEqual([
        withoutId(other),
      ])
      expect(await store.list({ tenant: 'c' }, { limit: 10 }, now)).toEqual([])
      expect(await store.list({ tenant: 'a' }, { limit: 10, after: 'constructor' }, now)).toEqual([])
    })

    test('an administrator sees those of one principal, or of one credential, page by page', async () => {
      for (let each = 0; each < 3; each++) await put(sessionOf('laptop', { principal: 'usr_alice' }))
      await put(sessionOf('phone', { principal: 'usr_alice' }))
      await put(sessionOf('bob'))
      const bindings = async (page: Partial<SessionPage>) =>
        (await store.list(everyTenant, { limit: 10, ...page }, now)).map(({ session }) => session.binding).sort()
      expect(await bindings({ principal: 'usr_alice' })).toEqual(['laptop', 'laptop', 'laptop', 'phone'])
      expect(await bindings({ credential: 'key_phone' })).toEqual(['phone'])
      expect(await bindings({ principal: 'usr_alice', credential: 'key_bob' })).toEqual([])
      expect(await bindings({ principal: 'usr_nobody' })).toEqual([])
      const [first, second] = await store.list(everyTenant, { limit: 2, principal: 'usr_alice' }, now)
      const rest = await store.list(everyTenant, { limit: 9, principal: 'usr_alice', after: second!.id }, now)
      expect(rest).toHaveLength(2)
      expect(rest.map(({ id }) => id)).not.toContain(first!.id)
      expect(await store.list({ tenant: 'b' }, { limit: 9, principal: 'usr_alice' }, now)).toEqual([])
    })

    test('a listing goes on over what ends and opens between its pages, and shows none twice', async () => {
      for (let each = 0; each < 6; each++) await put(sessionOf(`user${each}`))
      const first = await store.list(everyTenant, { limit: 3 }, now)
      await store.endListed(everyTenant, first[2]!.id, now)
      const rest = await store.list(everyTenant, { limit: 3, after: first[2]!.id }, now)
      await store.endListed(everyTenant, rest[0]!.id, now)
      await put(sessionOf('late'))
      const last = await store.list(everyTenant, { limit: 10, after: rest.at(-1)!.id }, now)
      const shown = [...first, ...rest, ...last].map(({ session }) => session.binding)
      expect(new Set(shown).size).toBe(shown.length)
      expect(shown.filter((binding) => binding !== 'late').sort()).toEqual(
        Array.from({ length: 6 }, (_, each) => `user${each}`),
      )
    })

    test('AU-05: what an administrator names tells nothing of the id that the client holds, and reaches one tenant', async () => {
      const session = await put(sessionOf('alice'))
      const [shown] = await store.list({ tenant: 'a' }, { limit: 1 }, now)
      if (shown === undefined) throw new Error('none listed')
      expect(JSON.stringify(shown)).not.toContain(session.id)
      expect(await store.findListed({ tenant: 'a' }, shown.id, now)).toEqual(shown)
      for (const id of [session.id, '', 'constructor', `${shown.id}0`, "' OR 1=1 --"])
        expect(await store.findListed(everyTenant, id, now)).toBeUndefined()
      expect(await store.findListed({ tenant: 'b' }, shown.id, now)).toBeUndefined()
      expect(await store.endListed({ tenant: 'b' }, shown.id, now)).toBe(false)
      expect(await isThere(session)).toBe(true)
      expect(await store.endListed({ tenant: 'a' }, shown.id, now)).toBe(true)
      expect(over).toEqual([session.id])
      expect(await isThere(session)).toBe(false)
      expect(await store.endListed({ tenant: 'a' }, shown.id, now)).toBe(false)
      const next = await put(sessionOf('carol'))
      const [after] = await store.list({ tenant: 'a' }, { limit: 1 }, now)
      expect(after?.session.binding).toBe(next.binding)
      expect(after?.id).not.toBe(shown.id)
    })

    test('to be looked at is no use, and what is over is not listed', async () => {
      const session = await put(sessionOf('alice'))
      const [shown] = await store.list(everyTenant, { limit: 1 }, now + idleMs - 1)
      expect(shown?.usedAt).toBe(now)
      expect(await store.list(everyTenant, { limit: 1 }, now + idleMs)).toEqual([])
      expect(await store.findListed(everyTenant, shown!.id, now + idleMs)).toBeUndefined()
      expect(await isThere(session, now + idleMs)).toBe(false)
    })

    test('counts what is alive', async () => {
      await put(sessionOf('alice', { expiresAt: now + 10 }))
      await put(sessionOf('bob'))
      expect(await store.count(now + 9)).toBe(2)
      expect(await store.count(now + 10)).toBe(1)
      expect(await store.count(now + idleMs)).toBe(0)
    })
  })
}
