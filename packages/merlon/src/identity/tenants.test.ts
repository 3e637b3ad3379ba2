import { beforeEach, describe, expect, it } from 'vitest'
import { openPeople, type People, refusedWith, start } from './people.fixture.ts'

describe('the operations on tenants', () => {
  let people: People
  let by: People['by']

  beforeEach(async () => {
    people = await openPeople()
    by = people.by
  })

  it('are for operators alone, but that everybody may see their own', async () => {
    const { tenants } = people
    const notYours = refusedWith('not-yours')
    expect(await tenants.create({ id: 'c' }, by.ann)).toEqual(notYours)
    expect(await tenants.update('a', { status: 'suspended' }, by.ann)).toEqual(notYours)
    expect(await tenants.update('a', { scopes: null }, by.uma)).toEqual(notYours)
    expect(await tenants.get('a', by.uma)).toMatchObject({ ok: true, tenant: { id: 'a' } })
    expect((await tenants.list({}, by.ann)).map(({ id }) => id)).toEqual(['a'])
    expect((await tenants.list({}, by.olga)).map(({ id }) => id)).toEqual(['a', 'b'])
    // An operator who asks with a credential that is not for administration manages nothing.
    expect(await tenants.create({ id: 'c' }, { ...by.olga, scopes: new Set(['read', 'write']) })).toEqual(notYours)
    expect(people.state.recorded).toEqual([])
  })

  it('AU-05: answer another tenant as one that is not there', async () => {
    const missing = refusedWith('tenant-unknown')
    for (const id of ['b', 'nowhere', 'constructor', '*', '']) {
      expect(await people.tenants.get(id, by.ann)).toEqual(missing)
      expect(await people.tenants.update(id, { name: 'x' }, by.ann)).toEqual(missing)
      expect(await people.tenants.list({ tenant: id }, by.ann)).toEqual([])
    }
  })

  it('make and change a tenant, and record it in the tenant itself', async () => {
    const made = await people.tenants.create({ id: 'c', name: 'Company C', scopes: ['write', 'read', 'read'] }, by.olga)
    const shown = { id: 'c', name: 'Company C', scopes: ['read', 'write'], status: 'active' }
    expect(made).toEqual({ ok: true, tenant: { ...shown, createdAt: start, updatedAt: start, version: 1 } })
    expect(await people.tenants.create({ id: 'c' }, by.olga)).toEqual(refusedWith('tenant-taken'))
    expect(await people.tenants.create({ id: 'C' }, by.olga)).toEqual(refusedWith('name-malformed'))
    expect(await people.tenants.create({ id: 'd', scopes: ['Read'] }, by.olga)).toEqual(refusedWith('scope-malformed'))
    expect(await people.tenants.update('c', { scopes: null }, by.olga, 1)).toMatchObject({
      ok: true,
      tenant: { scopes: undefined, version: 2 },
    })
    expect(await people.tenants.update('c', { name: 'D' }, by.olga, 1)).toEqual(refusedWith('changed'))
    expect(people.state.recorded[0]).toMatchObject({ action: 'tenant.create', by: 'usr_olga', tenant: 'c' })
  })

  it('AK-08: hold the credentials of a tenant to its scopes, `[]` to nothing, at the next call', async () => {
    const issued = await people.keys.createKey({ name: 'k', scopes: ['admin'] }, by.bob)
    if (!issued.ok) throw new Error(issued.reason)
    const may = async () => {
      await people.poll.refresh()
      const verdict = await people.keyRing.authenticate(issued.text, 'mcp', undefined)
      return verdict.ok ? [...verdict.principal.effective].sort() : verdict.reason
    }
    expect(await may()).toEqual(['admin', 'read', 'write'])
    await people.tenants.update('b', { scopes: ['read', 'files:write'] }, by.olga)
    expect(await may()).toEqual(['files:write', 'read'])
    await people.tenants.update('b', { scopes: [] }, by.olga)
    expect(await may()).toEqual([])
  })

  it('AK-07: refuse the credentials of a suspended tenant, and let them in again', async () => {
    const issued = await people.keys.createKey({ name: 'k', scopes: ['read'] }, by.bob)
    if (!issued.ok) throw new Error(issued.reason)
    const { signIn } = await people.signIns.signIn({
      ...{ email: 'bob@example.com', password: 'correct horse battery', address: '192.0.2.1' },
    })
    const ended: string[] = []
    people.keyRing.news.onWithdrawn((credential) => ended.push(credential))
    people.signInRing.news.onWithdrawn((credential) => ended.push(credential))
    const verdicts = async () => {
      await people.poll.refresh()
      const both = [
        await people.keyRing.authenticate(issued.text, 'mcp', undefined),
        await people.signInRing.standing(signIn.id, people.state.now),
      ]
      return both.map((verdict) => (verdict.ok ? 'ok' : verdict.reason))
    }
    expect(await verdicts()).toEqual(['ok', 'ok'])
    await people.tenants.update('b', { status: 'suspended' }, by.olga)
    expect(await verdicts()).toEqual(['tenant-suspended', 'tenant-suspended'])
    expect(ended).toEqual([issued.key.id, signIn.id])
    await people.tenants.update('b', { status: 'active' }, by.olga)
    expect(await verdicts()).toEqual(['ok', 'ok'])
  })

  it('AU-11: do not suspend the tenant of the last operator, nor limit it to less than they need', async () => {
    for (const change of [{ status: 'suspended' }, { scopes: [] }, { scopes: ['read', 'write'] }] as const)
      expect(await people.tenants.update('a', change, by.olga)).toEqual(refusedWith('last-operator'))
    expect(await people.tenants.update('a', { scopes: ['admin'] }, by.olga)).toMatchObject({ ok: true })
  })
})
