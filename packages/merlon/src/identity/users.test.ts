import { beforeEach, describe, expect, it } from 'vitest'
import { type Actor, localOperator } from './actor.ts'
import { openPeople, type People, password, refusedWith, start } from './people.fixture.ts'
import { everyTenant } from './reach.ts'
import type { Users } from './users.ts'

describe('the operations on users', () => {
  let people: People
  let users: Users
  let by: People['by']

  beforeEach(async () => {
    people = await openPeople()
    users = people.users
    by = people.by
  })

  const asked = { tenant: 'a', name: 'eve', role: 'user' }

  it('makes a user within the tenant of an administrator, and records it (B1)', async () => {
    const made = await users.create({ ...asked, email: 'Eve@Example.COM', password: 'not so easy 17' }, by.ann)
    expect(made).toEqual({
      ok: true,
      user: {
        ...{ id: expect.stringMatching(/^usr_[0-9A-Za-z]{12}$/), ...asked, status: 'active', email: 'eve@example.com' },
        ...{ hasPassword: true, hasSecondFactor: false, createdAt: start, updatedAt: start, version: 1 },
      },
    })
    expect(people.lines()).toEqual(['user.create intended', 'user.create done'])
    expect(JSON.stringify(people.state.recorded)).not.toMatch(/not so easy|argon2|example/)
  })

  it.each([
    ['who is no administrator', 'uma', {}, 'not-yours'],
    ['for another tenant', 'ann', { tenant: 'b' }, 'tenant-unknown'],
    ['for a tenant that is not there', 'olga', { tenant: 'nowhere' }, 'tenant-unknown'],
    ['AU-11: as an operator, who is not one', 'ann', { role: 'operator' }, 'scope-beyond-yours'],
    ['with a role that nobody declared', 'ann', { role: 'root' }, 'role-unknown'],
    ['with a role named like what every object has', 'ann', { role: 'constructor' }, 'role-unknown'],
    ['with a name that is none', 'ann', { name: '\n' }, 'name-malformed'],
    ['with a name that is taken', 'ann', { name: 'uma' }, 'name-taken'],
    ['with an e-mail that is none', 'ann', { email: 'eve' }, 'email-malformed'],
    ['with an e-mail that is taken, in another tenant too', 'ann', { email: 'BEA@example.com' }, 'email-taken'],
    ['with a short password', 'ann', { password: 'short' }, 'password-length'],
    ['with a common password', 'ann', { password: 'Password123' }, 'password-common'],
    ['with a password of their own name', 'ann', { name: 'eveline', password: 'eveline-2024' }, 'password-common'],
  ] as const)('makes no user %s', async (_what, who, over, reason) => {
    const before = await people.stores.users.listUsers({ tenant: everyTenant, limit: 100 })
    expect(await users.create({ ...asked, ...over }, by[who])).toEqual(refusedWith(reason))
    expect(await people.stores.users.listUsers({ tenant: everyTenant, limit: 100 })).toEqual(before)
  })

  it('AK-09: makes no user who may do more than the credential that asks', async () => {
    const narrow: Actor = { ...by.ann, scopes: new Set(['admin']) }
    expect((await users.create({ ...asked, role: 'admin' }, narrow)).ok).toBe(true)
    const auditor: Actor = { ...by.ann, scopes: new Set(['read', 'write']) }
    expect(await users.create({ ...asked, name: 'two', role: 'admin' }, auditor)).toEqual(refusedWith('not-yours'))
  })

  it('makes a tenant with its first user for the operator alone', async () => {
    const first = { tenant: 'c', name: 'carl', role: 'admin', makeTenant: true }
    expect(await users.create(first, by.ann)).toEqual(refusedWith('tenant-unknown'))
    expect(await users.create(first, localOperator)).toMatchObject({ ok: true, user: { tenant: 'c' } })
    expect(await people.stores.tenants.findTenant('c', 'c')).toMatchObject({ status: 'active' })
  })

  it('leaves no user behind that could not be recorded', async () => {
    people.state.recorded.push = (change) => {
      if (change.outcome === 'done') throw new Error('the disk is full')
      return 0
    }
    await expect(users.create(asked, by.ann)).rejects.toMatchObject({ code: 'audit.unavailable' })
    expect(await people.stores.users.findUser('a', 'eve')).toBeUndefined()
  })

  it('changes nothing that cannot be recorded first', async () => {
    people.state.recordingFails = true
    const unavailable = { code: 'audit.unavailable' }
    await expect(users.create(asked, by.ann)).rejects.toMatchObject(unavailable)
    await expect(users.update('usr_uma', { role: 'auditor' }, by.ann)).rejects.toMatchObject(unavailable)
    await expect(users.setPassword('usr_uma', 'not so easy 17', by.ann)).rejects.toMatchObject(unavailable)
    await expect(users.remove('usr_uma', by.ann)).rejects.toMatchObject(unavailable)
    expect(await people.stores.users.findUserById('a', 'usr_uma')).toMatchObject({ role: 'user', version: 1 })
    expect(await people.stores.users.findUser('a', 'eve')).toBeUndefined()
  })

  it('AU-05: answers what is beyond reach as what is not there', async () => {
    const missing = refusedWith('user-unknown')
    for (const [id, actor] of [
      ['usr_bea', by.ann],
      ['usr_nobody', by.ann],
      ['constructor', by.ann],
      ['usr_uri', by.uma],
      ['usr_bea', by.uma],
    ] as const) {
      expect(await users.get(id, actor)).toEqual(missing)
      expect(await users.update(id, { name: 'x' }, actor)).toEqual(missing)
      expect(await users.setPassword(id, 'not so easy 17', actor)).toEqual(missing)
      expect(await users.remove(id, actor)).toEqual(missing)
    }
    expect(people.state.recorded).toEqual([])
  })

  it('lists the tenant to its administrator, all to an operator, and themselves to everybody else', async () => {
    const names = async (query: Parameters<Users['list']>[0], actor: Actor) =>
      (await users.list(query, actor)).map(({ name }) => name)
    expect(await names({}, by.ann)).toEqual(['ann', 'olga', 'uma', 'uri'])
    expect(await names({ tenant: 'b' }, by.ann)).toEqual([])
    expect(await names({}, by.olga)).toEqual(['ann', 'bea', 'bob', 'olga', 'uma', 'uri'])
    expect(await names({ tenant: 'b', limit: 1 }, by.olga)).toEqual(['bea'])
    expect(await names({ after: 'usr_olga' }, by.ann)).toEqual(['uma', 'uri'])
    expect(await names({ name: 'uri' }, by.ann)).toEqual(['uri'])
    expect(await names({}, by.uma)).toEqual(['uma'])
    expect(await names({ name: 'uri' }, by.uma)).toEqual([])
    expect(await names({ after: 'usr_uma' }, by.uma)).toEqual([])
  })

  it('AU-10: lets a user change their own name, and nothing that decides what they may do', async () => {
    expect(await users.update('usr_uma', { name: 'una' }, by.uma)).toMatchObject({ ok: true, user: { name: 'una' } })
    for (const change of [
      { role: 'admin' },
      { status: 'active' },
      { email: 'x@example.com' },
      { name: 'x', role: 'user' },
    ] as const)
      expect(await users.update('usr_uma', change, by.uma)).toEqual(refusedWith('not-yours'))
    expect(await users.remove('usr_uma', by.uma)).toEqual(refusedWith('not-yours'))
    expect(await people.stores.users.findUserById('a', 'usr_uma')).toMatchObject({ role: 'user', version: 2 })
  })

  it('AU-11: lets no administrator make themselves or anybody an operator, nor act on one', async () => {
    for (const id of ['usr_ann', 'usr_uma'])
      expect(await users.update(id, { role: 'operator' }, by.ann)).toEqual(refusedWith('scope-beyond-yours'))
    for (const change of [{ role: 'user' }, { status: 'disabled' }, { name: 'x' }] as const)
      expect(await users.update('usr_olga', change, by.ann)).toEqual(refusedWith('not-yours'))
    expect(await users.setPassword('usr_olga', 'not so easy 17', by.ann)).toEqual(refusedWith('not-yours'))
    expect(await users.remove('usr_olga', by.ann)).toEqual(refusedWith('not-yours'))
    expect(await users.update('usr_uma', { role: 'operator' }, by.olga)).toMatchObject({ ok: true })
  })

  it('AU-11: keeps the last operator, and the last administrator of a tenant against its administrators', async () => {
    for (const change of [{ role: 'user' }, { status: 'disabled' }] as const)
      expect(await users.update('usr_olga', change, by.olga)).toEqual(refusedWith('last-operator'))
    expect(await users.remove('usr_olga', localOperator)).toEqual(refusedWith('last-operator'))
    expect(await users.update('usr_bob', { role: 'user' }, by.bob)).toEqual(refusedWith('last-administrator'))
    expect(await users.remove('usr_bob', by.bob)).toEqual(refusedWith('last-administrator'))
    expect(people.lines().filter((line) => line.endsWith('done'))).toEqual([])
    expect(await users.remove('usr_bob', by.olga)).toMatchObject({ ok: true })
  })

  it('refuses a change that was decided on another version', async () => {
    expect(await users.update('usr_uma', { name: 'una' }, by.ann, 1)).toMatchObject({ ok: true, user: { version: 2 } })
    expect(await users.update('usr_uma', { name: 'ula' }, by.ann, 1)).toEqual(refusedWith('changed'))
    expect(await users.remove('usr_uma', by.ann, 1)).toEqual(refusedWith('changed'))
  })

  it('does not change a user who became an operator while the change was decided', async () => {
    const { updateUser } = people.stores.users
    const store = people.stores.users
    let raced = false
    store.updateUser = async (...change) => {
      if (!raced) {
        raced = true
        await updateUser.call(store, 'a', 'usr_uma', { role: 'operator' }, {}, start)
      }
      return updateUser.apply(store, change)
    }
    expect(await users.update('usr_uma', { status: 'disabled' }, by.ann)).toEqual(refusedWith('changed'))
  })

  it('AU-09: a role that is taken away is gone at the next call', async () => {
    const issued = await people.keys.createKey({ name: 'k', scopes: ['write'] }, by.uma)
    if (!issued.ok) throw new Error(issued.reason)
    await people.poll.refresh()
    const may = async () => {
      const verdict = await people.keyRing.authenticate(issued.text, 'mcp', undefined)
      return verdict.ok ? [...verdict.principal.effective] : verdict.reason
    }
    expect(await may()).toEqual(['write'])
    await users.update('usr_uma', { role: 'auditor' }, by.ann)
    await people.poll.refresh()
    expect(await may()).toEqual([])
    await users.update('usr_uma', { status: 'disabled' }, by.ann)
    await people.poll.refresh()
    expect(await may()).toBe('owner-disabled')
    expect(people.lines().filter((line) => line.startsWith('user'))).toEqual([
      'user.update intended',
      'user.update done',
      'user.disable intended',
      'user.disable done',
    ])
  })

  describe('passwords', () => {
    const next = 'another long one 42'
    const signIn = (word: string, name = 'uma') =>
      people.signIns.signIn({ email: `${name}@example.com`, password: word, address: '192.0.2.1' })

    it('are set by an administrator, which ends the sign-ins of the user', async () => {
      const { signIn: before } = await signIn(password)
      expect(await users.setPassword('usr_uma', next, by.ann)).toEqual({ ok: true })
      expect((await people.stores.signIns.findSignIn(before.id))?.revokedAt).toBe(start)
      await expect(signIn(password)).rejects.toMatchObject({ code: 'login.refused' })
      expect((await signIn(next)).user.id).toBe('usr_uma')
    })

    it('are not set for oneself without the present one: a credential that was found is not enough', async () => {
      expect(await users.setPassword('usr_ann', next, by.ann)).toEqual(refusedWith('not-yours'))
      expect(await users.setPassword('usr_uma', next, by.uma)).toEqual(refusedWith('not-yours'))
    })

    it('AD-04: are changed by who knows the present one, which ends the other sign-ins', async () => {
      const here = await signIn(password)
      const there = await signIn(password)
      const asking: Actor = { ...by.uma, signIn: here.signIn.id }
      const change = (current: string, word: string) =>
        users.changeOwnPassword({ current, next: word }, asking, '192.0.2.1')
      expect(await change('wrong', next)).toEqual(refusedWith('password-wrong'))
      expect(await change(password, 'uma@example')).toEqual(refusedWith('password-common'))
      expect(await change(password, next)).toEqual({ ok: true })
      expect((await people.stores.signIns.findSignIn(here.signIn.id))?.revokedAt).toBeUndefined()
      expect((await people.stores.signIns.findSignIn(there.signIn.id))?.revokedAt).toBe(start)
      expect((await signIn(next)).user.id).toBe('usr_uma')
    })

    it('AD-05: are not guessed by who holds a credential of the user', async () => {
      const guess = () => users.changeOwnPassword({ current: 'guess', next }, by.uma, '192.0.2.1')
      for (let i = 0; i < 10; i++) expect(await guess()).toEqual(refusedWith('password-wrong'))
      await expect(guess()).rejects.toMatchObject({ code: 'rate.exceeded', detail: { retryAfterMs: 90_000 } })
    })

    it('AU-11: are not given by an administrator to who became an operator while the digest was made', async () => {
      const { hash } = people.passwords
      people.passwords.hash = async (word) => {
        const digest = await hash.call(people.passwords, word)
        await people.stores.users.updateUser('a', 'usr_uma', { role: 'operator' }, {}, start)
        return digest
      }
      expect(await users.setPassword('usr_uma', next, by.ann)).toEqual(refusedWith('changed'))
      expect((await people.stores.users.findLogin({ id: 'usr_uma' }))?.password).toBeUndefined()
    })

    it('are in no answer and no record', async () => {
      await users.setPassword('usr_uma', next, by.ann)
      const all = JSON.stringify([
        await users.list({}, by.olga),
        await users.get('usr_uma', by.ann),
        people.state.recorded,
      ])
      expect(all).not.toMatch(/argon2|another long/)
    })
  })
})
