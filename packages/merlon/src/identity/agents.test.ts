import { beforeEach, describe, expect, it } from 'vitest'
import type { Actor } from './actor.ts'
import { openPeople, type People, refusedWith } from './people.fixture.ts'

describe('the operations on agents', () => {
  let people: People
  let by: People['by']

  beforeEach(async () => {
    people = await openPeople()
    by = people.by
  })

  const request = { name: 'bot', type: 'assistant', capabilities: ['search the web'], metadata: { level: 3 } }
  const made = async (by: Actor, over: object = {}) => {
    const created = await people.agents.create({ ...request, ...over }, by)
    if (!created.ok) throw new Error(created.reason)
    return created.agent
  }

  it('make an agent of who asks, and of another for an administrator (B4)', async () => {
    expect(await made(by.uma)).toMatchObject({
      ...request,
      owner: 'usr_uma',
      tenant: 'a',
      status: 'active',
      version: 1,
    })
    expect(await made(by.ann, { name: 'two', owner: 'usr_uma', status: 'inactive' })).toMatchObject({
      owner: 'usr_uma',
    })
    expect(people.lines()).toEqual(Array(2).fill(['agent.create intended', 'agent.create done']).flat())
    const create = (over: object, by: Actor) => people.agents.create({ ...request, name: 'three', ...over }, by)
    expect(await create({ owner: 'usr_uri' }, by.uma)).toEqual(refusedWith('user-unknown'))
    expect(await create({ owner: 'usr_bea' }, by.ann)).toEqual(refusedWith('user-unknown'))
    expect(await create({ owner: 'usr_olga' }, by.ann)).toEqual(refusedWith('not-yours'))
    expect(await create({ name: 'bot' }, by.uma)).toEqual(refusedWith('name-taken'))
  })

  it.each([
    [{ name: '\u0000' }, 'name-malformed'],
    [{ type: 'Not a type' }, 'type-malformed'],
    [{ capabilities: ['\u001b[31m'] }, 'capabilities-malformed'],
    [{ capabilities: Array(101).fill('x') }, 'capabilities-malformed'],
    [{ metadata: { text: 'x'.repeat(8_192) } }, 'metadata-malformed'],
  ])('refuse %j', async (over, reason) => {
    expect(await people.agents.create({ ...request, ...over }, by.uma)).toEqual(refusedWith(reason))
    const agent = await made(by.uma)
    expect(await people.agents.update(agent.id, over, by.uma)).toEqual(refusedWith(reason))
  })

  it('AU-05: answer an agent of others as one that is not there', async () => {
    const mine = await made(by.ann)
    const theirs = await made(by.bob)
    const missing = refusedWith('agent-unknown')
    for (const [id, actor] of [
      [mine.id, by.uma],
      [theirs.id, by.ann],
      ['agt_000000000000', by.ann],
    ] as const) {
      expect(await people.agents.get(id, actor)).toEqual(missing)
      expect(await people.agents.update(id, { status: 'inactive' }, actor)).toEqual(missing)
      expect(await people.agents.remove(id, actor)).toEqual(missing)
    }
    expect(await people.agents.list({}, by.uma)).toEqual([])
    expect(await people.agents.list({ owner: 'usr_ann' }, by.uma)).toEqual([])
    expect((await people.agents.list({}, by.ann)).map(({ id }) => id)).toEqual([mine.id])
    expect(await people.agents.list({}, by.olga)).toHaveLength(2)
  })

  it('AK-08: an agent acts in its own name, within its key, the role of its owner and the tenant', async () => {
    const agent = await made(by.uma)
    const issued = await people.keys.createKey({ agent: agent.id, name: 'k', scopes: ['read', 'write'] }, by.uma)
    if (!issued.ok) throw new Error(issued.reason)
    const verdict = async () => {
      await people.poll.refresh()
      return people.keyRing.authenticate(issued.text, 'mcp', undefined)
    }
    expect(await verdict()).toMatchObject({
      ok: true,
      principal: { id: agent.id, kind: 'agent', tenant: 'a', role: 'user', credential: issued.key.id },
    })
    await people.users.update('usr_uma', { role: 'auditor' }, by.ann)
    const narrowed = await verdict()
    expect(narrowed.ok && [...narrowed.principal.effective]).toEqual(['read'])
    for (const status of ['inactive', 'error'] as const) {
      expect(await people.agents.update(agent.id, { status }, by.uma)).toMatchObject({ ok: true, agent: { status } })
      expect(await verdict()).toMatchObject({ ok: false, reason: 'agent-inactive' })
    }
    await people.agents.update(agent.id, { status: 'active' }, by.uma)
    expect((await verdict()).ok).toBe(true)
    await people.users.update('usr_uma', { status: 'disabled' }, by.ann)
    expect(await verdict()).toMatchObject({ ok: false, reason: 'owner-disabled' })
  })

  it('an agent with a key of its own manages its keys, and neither itself nor the keys of others', async () => {
    const agent = await made(by.uma)
    const self: Actor = { id: agent.id, tenant: 'a', scopes: new Set(['read', 'write']) }
    const issued = await people.keys.createKey({ name: 'own', scopes: ['read'] }, self)
    expect(issued).toMatchObject({ ok: true, key: { agent: agent.id, owner: 'usr_uma' } })
    const other = await people.keys.createKey({ name: 'other', scopes: ['read'] }, by.uma)
    if (!issued.ok || !other.ok) throw new Error('no keys')
    expect(await people.keys.revokeKey(other.key.id, self)).toEqual(refusedWith('key-unknown'))
    expect((await people.keys.listKeys({}, self)).map(({ id }) => id)).toEqual([issued.key.id])
    expect(await people.agents.get(agent.id, self)).toMatchObject({ ok: true })
    expect(await people.agents.update(agent.id, { name: 'x' }, self)).toEqual(refusedWith('not-yours'))
    expect(await people.agents.remove(agent.id, self)).toEqual(refusedWith('not-yours'))
    const strong: Actor = { ...self, scopes: new Set(['admin']) }
    expect(await people.agents.update(agent.id, { name: 'x' }, strong)).toEqual(refusedWith('not-yours'))
    expect(await people.keys.createKey({ owner: 'usr_uma', name: 'x', scopes: ['read'] }, self)).toEqual(
      refusedWith('user-unknown'),
    )
  })

  it('refuse a change that was decided on another version, and remove an agent with its keys', async () => {
    const agent = await made(by.uma)
    const issued = await people.keys.createKey({ agent: agent.id, name: 'k', scopes: ['read'] }, by.uma)
    if (!issued.ok) throw new Error(issued.reason)
    expect(await people.agents.update(agent.id, { name: 'two' }, by.uma, 1)).toMatchObject({ ok: true })
    expect(await people.agents.update(agent.id, { name: 'three' }, by.uma, 1)).toEqual(refusedWith('changed'))
    expect(await people.agents.remove(agent.id, by.uma, 1)).toEqual(refusedWith('changed'))
    expect(await people.agents.remove(agent.id, by.uma, 2)).toMatchObject({ ok: true })
    expect(await people.keyRing.authenticate(issued.text, 'mcp', undefined)).toMatchObject({ reason: 'revoked' })
  })
})
