import { beforeEach, describe, expect, it } from 'vitest'
import type { Actor } from './actor.ts'
import type { KeyRequest } from './keys.ts'
import { hour, openPeople, type People, refusedWith, start } from './people.fixture.ts'
import type { Door } from './verdict.ts'

describe('the rules for keys', () => {
  let people: People
  let by: People['by']

  beforeEach(async () => {
    people = await openPeople()
    by = people.by
  })

  const issue = async (actor: Actor, over: Partial<KeyRequest> = {}) => {
    const issued = await people.keys.createKey({ name: 'laptop', scopes: ['read'], ...over } as KeyRequest, actor)
    if (!issued.ok) throw new Error(issued.reason)
    return issued
  }
  const reason = async (text: string, door: Door = 'mcp', address: string | undefined = undefined) => {
    await people.poll.refresh()
    const verdict = await people.keyRing.authenticate(text, door, address)
    return verdict.ok ? 'ok' : verdict.reason
  }

  it('AD-01: a key opens its own door and no other', async () => {
    const mcp = await issue(by.uma)
    const control = await issue(by.uma, { name: 'console', use: 'control' })
    expect(mcp.key.use).toBe('mcp')
    // Twice: from the store, and from memory.
    for (let i = 0; i < 2; i++) {
      expect([await reason(mcp.text, 'mcp'), await reason(mcp.text, 'control')]).toEqual(['ok', 'wrong-door'])
      expect([await reason(control.text, 'mcp'), await reason(control.text, 'control')]).toEqual(['wrong-door', 'ok'])
    }
  })

  it('AK-13: a key is good from where it may be used', async () => {
    const bound = await issue(by.uma, { addressRanges: ['10.0.0.0/8'] })
    const nowhere = await issue(by.uma, { name: 'two', addressRanges: [] })
    for (let i = 0; i < 2; i++) {
      expect(await reason(bound.text, 'mcp', '10.1.2.3')).toBe('ok')
      expect(await reason(bound.text, 'mcp', '192.0.2.1')).toBe('address')
      expect(await reason(bound.text, 'mcp', undefined)).toBe('address')
      expect(await reason(nowhere.text, 'mcp', '10.1.2.3')).toBe('address')
    }
    expect(await people.keys.createKey({ name: 'x', scopes: ['read'], addressRanges: ['all'] }, by.uma)).toEqual(
      refusedWith('address-range-malformed'),
    )
  })

  it('makes keys for oneself, and for others as an administrator, but not for an operator', async () => {
    expect((await issue(by.uma)).key.owner).toBe('usr_uma')
    expect((await issue(by.ann, { owner: 'usr_uma', name: 'two' })).key.owner).toBe('usr_uma')
    const make = (over: object, actor: Actor) =>
      people.keys.createKey({ name: 'x', scopes: ['read'], ...over } as KeyRequest, actor)
    expect(await make({ owner: 'usr_uri' }, by.uma)).toEqual(refusedWith('user-unknown'))
    expect(await make({ tenant: 'a', user: 'uri' }, by.uma)).toEqual(refusedWith('user-unknown'))
    expect(await make({ owner: 'usr_bea' }, by.ann)).toEqual(refusedWith('user-unknown'))
    expect(await make({ owner: 'usr_olga' }, by.ann)).toEqual(refusedWith('not-yours'))
    expect(await make({ agent: 'agt_000000000000' }, by.ann)).toEqual(refusedWith('agent-unknown'))
    expect(await make({ scopes: ['admin'] }, by.uma)).toEqual(refusedWith('scope-beyond-yours'))
  })

  it('AU-05: answers the keys of others as keys that are not there', async () => {
    const anns = await issue(by.ann)
    const bobs = await issue(by.bob)
    const missing = refusedWith('key-unknown')
    for (const [id, actor] of [
      [anns.key.id, by.uma],
      [bobs.key.id, by.ann],
      ['key_000000000000', by.ann],
      ['constructor', by.ann],
    ] as const) {
      expect(await people.keys.getKey(id, actor)).toEqual(missing)
      expect(await people.keys.updateKey(id, { name: 'x' }, actor)).toEqual(missing)
      expect(await people.keys.rotateKey(id, actor)).toEqual(missing)
      expect(await people.keys.revokeKey(id, actor)).toEqual(missing)
    }
    expect(await people.keys.listKeys({ owner: 'usr_ann' }, by.uma)).toEqual([])
    expect(await people.keys.listKeys({}, by.uma)).toEqual([])
    expect(await people.keys.listKeys({}, by.ann)).toEqual([anns.key])
    expect(await reason(bobs.text)).toBe('ok')
  })

  it('AU-11: an administrator sees the keys of an operator and touches none', async () => {
    const { key } = await issue(by.olga)
    expect(await people.keys.getKey(key.id, by.ann)).toMatchObject({ ok: true })
    const beyond = refusedWith('not-yours')
    expect(await people.keys.updateKey(key.id, { active: false }, by.ann)).toEqual(beyond)
    expect(await people.keys.rotateKey(key.id, by.ann)).toEqual(beyond)
    expect(await people.keys.revokeKey(key.id, by.ann)).toEqual(beyond)
  })

  it('switches a key off and on, from the next call on (B3)', async () => {
    const { key, text } = await issue(by.uma)
    expect(await reason(text)).toBe('ok')
    expect(await people.keys.updateKey(key.id, { active: false }, by.uma, 1)).toMatchObject({
      ok: true,
      key: { active: false, version: 2 },
    })
    expect(await reason(text)).toBe('inactive')
    expect(await people.keys.updateKey(key.id, { active: true }, by.uma, 1)).toEqual(refusedWith('changed'))
    expect(await people.keys.updateKey(key.id, { active: true }, by.uma)).toMatchObject({ ok: true })
    expect(await reason(text)).toBe('ok')
    expect(people.lines().slice(-2)).toEqual(['key.update intended', 'key.update done'])
  })

  it('AK-09: gives a key no more than who changes it holds, and none of it back to life', async () => {
    const strong = await issue(by.ann, { owner: 'usr_uma', scopes: ['admin', 'read'] })
    for (const edit of [
      { scopes: ['admin'] },
      { scopes: ['files:write'] },
      { active: true },
      { lifetime: '1h' },
      { addressRanges: null },
      { addressRanges: ['10.0.0.0/8'] },
    ])
      expect(await people.keys.updateKey(strong.key.id, edit, by.uma), JSON.stringify(edit)).toEqual(
        refusedWith('scope-beyond-yours'),
      )
    expect(await people.keys.rotateKey(strong.key.id, by.uma)).toEqual(refusedWith('scope-beyond-yours'))
    expect(await people.keys.updateKey(strong.key.id, { active: false }, by.uma)).toMatchObject({ ok: true })
    expect(await people.keys.updateKey(strong.key.id, { scopes: ['write'] }, by.uma)).toMatchObject({
      ok: true,
      key: { scopes: ['write'] },
    })
  })

  it.each([
    [{ name: '\n' }, 'name-malformed'],
    [{ scopes: [] }, 'scope-malformed'],
    [{ scopes: ['Read'] }, 'scope-malformed'],
    [{ addressRanges: ['x'] }, 'address-range-malformed'],
    [{ lifetime: 'never' }, 'lifetime-refused'],
    [{ lifetime: '49h' }, 'lifetime-refused'],
  ])('refuses the change %j (AK-06)', async (edit, why) => {
    const { key } = await issue(by.uma)
    expect(await people.keys.updateKey(key.id, edit, by.uma)).toEqual(refusedWith(why))
    expect(await people.keys.getKey(key.id, by.uma)).toEqual({ ok: true, key })
  })

  it('lengthens a key from now on, and changes no revoked one', async () => {
    const { key } = await issue(by.uma)
    people.state.now += 10 * hour
    expect(await people.keys.updateKey(key.id, { lifetime: '48h' }, by.uma)).toMatchObject({
      ok: true,
      key: { expiresAt: start + 58 * hour },
    })
    await people.keys.revokeKey(key.id, by.uma)
    expect(await people.keys.updateKey(key.id, { active: true }, by.uma)).toEqual(refusedWith('key-revoked'))
  })

  it('says of a text whether it is a key that who asks may see, and nothing of others (B3)', async () => {
    const mine = await issue(by.uma)
    const theirs = await issue(by.bob)
    expect(await people.keys.validate(mine.text, by.uma)).toEqual({ valid: true, key: mine.key })
    expect(await people.keys.validate(mine.text, by.ann)).toEqual({ valid: true, key: mine.key })
    const rotated = await people.keys.rotateKey(mine.key.id, by.uma)
    for (const [text, actor] of [
      [theirs.text, by.uma],
      [theirs.text, by.ann],
      [mine.text, by.uma],
      ['nonsense', by.uma],
    ] as const)
      expect(await people.keys.validate(text, actor)).toEqual({ valid: false })
    expect(rotated.ok && (await people.keys.validate(rotated.text, by.uma)).valid).toBe(true)
  })
})
