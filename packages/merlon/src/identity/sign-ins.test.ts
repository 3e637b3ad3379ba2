import { beforeEach, describe, expect, it } from 'vitest'
import type { Actor } from './actor.ts'
import { attemptsMax, hour, openPeople, type People, password, refusedWith, start } from './people.fixture.ts'

describe('the operations on sign-ins', () => {
  let people: People
  let by: People['by']

  beforeEach(async () => {
    people = await openPeople()
    by = people.by
  })

  const here = '192.0.2.1'
  const signIn = (over: object = {}) =>
    people.signIns.signIn({ email: 'uma@example.com', password, address: here, ...over })
  const named = (over: object) => people.signIns.signIn({ tenant: 'a', name: 'uma', password, address: here, ...over })
  const outcome = (attempt: Promise<unknown>) =>
    attempt.then(
      () => 'ok',
      (fault) => fault.code,
    )

  it('open by e-mail in any letters, and by tenant and name (B1)', async () => {
    const opened = await signIn({ email: 'UMA@Example.com' })
    expect(opened).toMatchObject({
      signIn: {
        ...{ id: expect.stringMatching(/^sgn_[0-9A-Za-z]{22}$/), tenant: 'a', user: 'usr_uma', address: here },
        ...{ createdAt: start, expiresAt: start + 12 * hour, revokedAt: undefined },
      },
      user: { id: 'usr_uma', name: 'uma' },
    })
    expect((await named({})).user.id).toBe('usr_uma')
    expect(people.lines().slice(0, 2)).toEqual(['sign-in.create intended', 'sign-in.create done'])
    expect(JSON.stringify([opened, people.state.recorded])).not.toMatch(/argon2|horse/)
  })

  it('AD-04: are another each time', async () => {
    const ids = new Set([await signIn(), await signIn(), await signIn()].map((each) => each.signIn.id))
    expect(ids.size).toBe(3)
  })

  it('AD-05: are refused alike, whatever is wrong', async () => {
    await people.stores.users.updateUser('a', 'usr_uri', { status: 'disabled' }, {}, start)
    await people.stores.tenants.updateTenant('b', { status: 'suspended' }, undefined, start)
    await people.stores.users.createUser(
      { id: 'usr_none', tenant: 'a', name: 'none', role: 'user', status: 'active', email: 'none@example.com' },
      start,
    )
    const refused = async (attempt: Promise<unknown>) =>
      attempt.then(
        () => 'ok',
        (fault) => [fault.code, fault.sentence, fault.detail.reason],
      )
    const says = 'The name or the password is not right.'
    for (const [attempt, reason] of [
      [() => signIn({ password: 'wrong' }), 'password'],
      [() => signIn({ password: '' }), 'password'],
      [() => signIn({ password: '\ud800' }), 'password'],
      [() => signIn({ password: 'x'.repeat(100_000) }), 'password'],
      [() => signIn({ email: 'nobody@example.com' }), 'unknown'],
      [() => signIn({ email: 'not an e-mail' }), 'unknown'],
      [() => named({ name: 'constructor' }), 'unknown'],
      [() => named({ tenant: '*' }), 'unknown'],
      [() => signIn({ email: 'none@example.com' }), 'password'],
      [() => signIn({ email: 'uri@example.com', address: '192.0.2.2' }), 'user-disabled'],
      [() => signIn({ email: 'bea@example.com', address: '192.0.2.2' }), 'tenant-suspended'],
    ] as const)
      expect(await refused(attempt())).toEqual(['login.refused', says, reason])
    expect(await people.stores.signIns.listSignIns({ tenant: 'a', limit: 9 })).toEqual([])
  })

  it('AD-05: do the work of a password for an account that is not there', async () => {
    const digests: (string | undefined)[] = []
    const { verify } = people.passwords
    people.passwords.verify = (word, digest) => {
      digests.push(digest)
      return verify.call(people.passwords, word, digest)
    }
    await outcome(signIn({ email: 'nobody@example.com' }))
    await outcome(signIn({ email: 'nonsense' }))
    await outcome(named({ name: 'u\0ma' }))
    expect(digests).toEqual([undefined, undefined, undefined])
  })

  it('AD-05: ask the store for no name that none can have: a zero byte is an error of PostgreSQL', async () => {
    const asked: object[] = []
    const { findLogin } = people.stores.users
    people.stores.users.findLogin = (login) => {
      asked.push(login)
      return findLogin.call(people.stores.users, login)
    }
    for (const over of [{ name: 'u\0ma' }, { tenant: 'a\0' }, { name: '!usr_uma' }, { tenant: '' }, { name: '' }])
      expect(await outcome(named({ password: 'wrong', ...over }))).toBe('login.refused')
    expect(asked).toEqual([])
    expect(await outcome(named({}))).toBe('ok')
    expect(asked).toEqual([{ tenant: 'a', name: 'uma' }])
  })

  it.each([
    ['another password', () => people.users.setPassword('usr_uma', 'a quite different sentence', by.ann)],
    [
      'disabled and let in again',
      async () => {
        await people.users.update('usr_uma', { status: 'disabled' }, by.ann)
        await people.users.update('usr_uma', { status: 'active' }, by.ann)
      },
    ],
  ])('AD-04: open none where the user was given %s while the password was looked at', async (_what, meanwhile) => {
    const { verify } = people.passwords
    people.passwords.verify = async (word, digest) => {
      people.passwords.verify = verify
      const verdict = await verify.call(people.passwords, word, digest)
      await meanwhile()
      return verdict
    }
    await expect(signIn()).rejects.toMatchObject({ code: 'login.refused', detail: { reason: 'user-changed' } })
    const open = await people.stores.signIns.listSignIns({ tenant: 'a', limit: 9 })
    expect(open.filter(({ revokedAt }) => revokedAt === undefined)).toEqual([])
    expect(people.lines().slice(-2)).toEqual(['sign-in.create intended', 'sign-in.create refused'])
  })

  it('AD-05: are limited by account and by address, for accounts that are not there just the same (B7)', async () => {
    for (const email of ['uma@example.com', 'nobody@example.com']) {
      const seen: string[] = []
      for (let i = 0; i < attemptsMax + 1; i++) {
        seen.push(await outcome(signIn({ email, password: 'wrong', address: `198.51.100.${i}` })))
      }
      expect(seen).toEqual([...Array(attemptsMax).fill('login.refused'), 'rate.exceeded'])
    }
    const seen: string[] = []
    for (let i = 0; i < attemptsMax + 1; i++) {
      seen.push(await outcome(signIn({ email: `someone${i}@example.com`, password: 'wrong', address: '203.0.113.1' })))
    }
    expect(seen).toEqual([...Array(attemptsMax).fill('login.refused'), 'rate.exceeded'])
  })

  it('AD-05: a stranger who uses up the attempts of an account does not keep out its owner', async () => {
    await signIn()
    for (let i = 0; i < 50; i++) await outcome(signIn({ password: 'wrong', address: `198.51.100.${i}` }))
    expect(await outcome(signIn({ address: '198.51.100.200' }))).toBe('rate.exceeded')
    expect(await outcome(signIn())).toBe('ok')
  })

  it('AD-05: a neighbour who uses up the attempts of an address does not keep out who has been there', async () => {
    await signIn()
    for (let i = 0; i < 50; i++) await outcome(signIn({ email: `x${i}@example.com`, password: 'wrong' }))
    expect(await outcome(signIn({ email: 'uri@example.com' }))).toBe('rate.exceeded')
    expect(await outcome(signIn())).toBe('ok')
  })

  it('AD-05: are limited from a known address too, and a success counts for none', async () => {
    for (let i = 0; i < 30; i++) expect(await outcome(signIn())).toBe('ok')
    for (let i = 0; i < attemptsMax; i++) expect(await outcome(signIn({ password: 'wrong' }))).toBe('login.refused')
    expect(await outcome(signIn())).toBe('rate.exceeded')
  })

  it('AD-05: know an address by the network that its client owns', async () => {
    await signIn({ address: '2001:db8::1' })
    expect((await people.signIns.list({}, by.uma))[0]).toMatchObject({ address: '2001' })
    for (let i = 0; i < 20; i++) await outcome(signIn({ password: 'wrong', address: `198.51.100.${i}` }))
    expect(await outcome(signIn({ address: '2001:db8::2' }))).toBe('ok')
  })

  it('make a stale digest anew', async () => {
    const stale = await people.passwords.hash(password)
    await people.stores.users.createUser(
      { id: 'usr_old', tenant: 'a', name: 'old', role: 'user', status: 'active', password: stale },
      start,
    )
    const verify = people.passwords.verify.bind(people.passwords)
    people.passwords.verify = async (word, digest) => ({ ...(await verify(word, digest)), stale: true })
    await named({ name: 'old' })
    const record = await people.stores.users.findLogin({ id: 'usr_old' })
    expect(record?.password).not.toBe(stale)
    expect((await verify(password, record?.password)).good).toBe(true)
  })

  it('are seen and ended by their user, by an administrator, and by nobody else', async () => {
    const { signIn: mine } = await signIn()
    const { signIn: olgas } = await signIn({ email: 'olga@example.com' })
    const listed = async (actor: Actor, query = {}) =>
      (await people.signIns.list(query, actor)).map(({ id }) => id).sort()
    expect(await listed(by.uma)).toEqual([mine.id])
    expect(await listed(by.uma, { user: 'usr_olga' })).toEqual([])
    expect(await listed(by.ann)).toEqual([mine.id, olgas.id].sort())
    expect(await listed(by.bob)).toEqual([])
    const missing = refusedWith('sign-in-unknown')
    expect(await people.signIns.revoke(olgas.id, by.uma)).toEqual(missing)
    expect(await people.signIns.revoke(mine.id, by.bob)).toEqual(missing)
    expect(await people.signIns.revoke('sgn_0000000000000000000000', by.olga)).toEqual(missing)
    expect(await people.signIns.revoke(olgas.id, by.ann)).toEqual(refusedWith('not-yours'))
    expect(await people.signIns.revoke(mine.id, by.ann)).toMatchObject({ ok: true, signIn: { revokedAt: start } })
    expect(await people.signIns.revoke(mine.id, by.uma)).toMatchObject({ ok: true, signIn: { revokedAt: start } })
    expect(await people.signIns.signOut(by.uma)).toEqual(missing)
  })

  it('end all at once for their user and for an administrator', async () => {
    for (let i = 0; i < 3; i++) await signIn()
    await signIn({ email: 'olga@example.com' })
    expect(await people.signIns.revokeAll('usr_uma', by.bob)).toEqual(refusedWith('user-unknown'))
    expect(await people.signIns.revokeAll('usr_ann', by.uma)).toEqual(refusedWith('user-unknown'))
    expect(await people.signIns.revokeAll('usr_olga', by.ann)).toEqual(refusedWith('not-yours'))
    expect(await people.signIns.revokeAll('usr_uma', by.ann)).toEqual({ ok: true, count: 3 })
    expect(await people.signIns.revokeAll('usr_uma', by.uma)).toEqual({ ok: true, count: 0 })
  })

  it('AD-04: are good for nothing once their user has signed out', async () => {
    const { signIn: opened } = await signIn()
    const standing = async () => {
      const verdict = await people.signInRing.standing(opened.id, people.state.now)
      return verdict.ok ? 'ok' : verdict.reason
    }
    await people.poll.refresh()
    expect(await standing()).toBe('ok')
    expect(await people.signIns.signOut({ ...by.uma, signIn: opened.id })).toMatchObject({ ok: true })
    await people.poll.refresh()
    expect(await standing()).toBe('revoked')
  })

  it('do not stand where that they were made cannot be recorded', async () => {
    people.state.recorded.push = (change) => {
      if (change.outcome === 'done') throw new Error('the disk is full')
      return 0
    }
    await expect(signIn()).rejects.toMatchObject({ code: 'audit.unavailable' })
    const all = await people.stores.signIns.listSignIns({ tenant: 'a', limit: 9 })
    expect(all.map(({ revokedAt }) => revokedAt)).toEqual([start])
  })
})
