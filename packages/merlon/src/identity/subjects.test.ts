import { beforeEach, describe, expect, it } from 'vitest'
import type { Actor } from './actor.ts'
import { openPeople, type People, refusedWith, start } from './people.fixture.ts'
import { everyTenant } from './reach.ts'

const ann = { issuer: 'https://id.example', subject: 'ann' }

describe('the operations on subjects of other issuers', () => {
  let people: People
  let by: People['by']

  beforeEach(async () => {
    people = await openPeople()
    by = people.by
  })

  const blocked = async (by: Actor, over: object = {}) => {
    const made = await people.subjects.block({ ...ann, ...over }, by)
    if (!made.ok) throw new Error(made.reason)
    return made.block
  }
  const places = () => people.stores.subjects.blocksOf(ann)

  it('block in every tenant for an operator, and in the own one for an administrator', async () => {
    expect(await blocked(by.olga)).toEqual({
      ...ann,
      id: expect.stringMatching(/^blk_[0-9A-Za-z]{12}$/),
      tenant: undefined,
      by: 'usr_olga',
      blockedAt: start,
    })
    expect(await blocked(by.ann)).toMatchObject({ tenant: 'a', by: 'usr_ann' })
    expect(await blocked(by.olga, { tenant: 'b' })).toMatchObject({ tenant: 'b' })
    expect(await places()).toEqual({ everywhere: true, tenants: new Set(['a', 'b']) })
  })

  it('AU-05: block nothing in a tenant beyond reach, which is like one that is not there', async () => {
    expect(await people.subjects.block({ ...ann, tenant: 'b' }, by.ann)).toEqual(refusedWith('tenant-unknown'))
    expect(await people.subjects.block({ ...ann, tenant: 'z' }, by.ann)).toEqual(refusedWith('tenant-unknown'))
    expect(await people.subjects.block({ ...ann, tenant: 'z' }, by.olga)).toEqual(refusedWith('tenant-unknown'))
    expect(await people.subjects.block(ann, by.uma)).toEqual(refusedWith('not-yours'))
    expect(await people.subjects.block({ ...ann, tenant: 'a' }, by.uma)).toEqual(refusedWith('not-yours'))
    expect(await people.subjects.block(ann, { ...by.ann, tenant: everyTenant, scopes: by.uma.scopes })).toEqual(
      refusedWith('not-yours'),
    )
    expect(await places()).toEqual({ everywhere: false, tenants: new Set() })
  })

  it.each([
    [{ issuer: 'https://id.example/' }, 'issuer-unknown'],
    [{ issuer: 'constructor' }, 'issuer-unknown'],
    [{ subject: '' }, 'subject-malformed'],
    [{ subject: 'a b' }, 'subject-malformed'],
    [{ subject: 'ann\u001b[31m' }, 'subject-malformed'],
    [{ subject: 'é' }, 'subject-malformed'],
    [{ subject: 'x'.repeat(256) }, 'subject-malformed'],
  ])('refuse %j, which no token could have', async (over, reason) => {
    expect(await people.subjects.block({ ...ann, ...over }, by.olga)).toEqual(refusedWith(reason))
    expect(people.lines()).toEqual([])
  })

  it('AU-05: a block is seen and lifted by who could have made it, and is missing for others', async () => {
    const everywhere = await blocked(by.olga)
    const [inA, inB] = [await blocked(by.ann), await blocked(by.bob)]
    const listed = async (by: Actor, query = {}) => (await people.subjects.list(query, by)).map(({ id }) => id)
    expect(await listed(by.olga)).toHaveLength(3)
    expect(await listed(by.olga, { tenant: 'b' })).toEqual([inB.id])
    expect(await listed(by.ann)).toEqual([inA.id])
    expect(await listed(by.ann, { tenant: 'b' })).toEqual([])
    expect(await listed(by.uma)).toEqual([])
    expect(await listed(by.ann, { subject: 'bob' })).toEqual([])
    expect(await listed(by.ann, { issuer: 'https://id.example' })).toEqual([inA.id])
    const missing = refusedWith('subject-unknown')
    for (const [id, actor] of [
      [everywhere.id, by.ann],
      [inB.id, by.ann],
      [inA.id, by.uma],
      ['blk_000000000000', by.olga],
    ] as const)
      expect(await people.subjects.unblock(id, actor)).toEqual(missing)
    expect(await people.subjects.unblock(inA.id, by.ann)).toEqual({ ok: true, block: inA })
    expect(await people.subjects.unblock(inA.id, by.ann)).toEqual(missing)
    expect(await people.subjects.unblock(inB.id, by.olga)).toEqual({ ok: true, block: inB })
    expect(await places()).toEqual({ everywhere: true, tenants: new Set() })
  })

  it('AL-01: are recorded as meant and as done, with who and whom', async () => {
    const { id } = await blocked(by.ann)
    await blocked(by.ann)
    await people.subjects.unblock(id, by.ann)
    const pair = (action: string) => [`${action} intended`, `${action} done`]
    expect(people.lines()).toEqual([...pair('subject.block'), ...pair('subject.block'), ...pair('subject.unblock')])
    expect(people.state.recorded[0]).toMatchObject({ by: 'usr_ann', tenant: 'a', detail: ann })
    expect(people.state.recorded[5]).toMatchObject({ by: 'usr_ann', tenant: 'a', detail: ann })
  })

  it('AL-08: change nothing that cannot be recorded, and let nobody in whose letting in is not on record', async () => {
    people.state.recordingFails = true
    await expect(people.subjects.block(ann, by.ann)).rejects.toMatchObject({ code: 'audit.unavailable' })
    expect(await places()).toEqual({ everywhere: false, tenants: new Set() })
    people.state.recordingFails = false
    const block = await blocked(by.ann)
    const lift = people.stores.subjects.liftBlock.bind(people.stores.subjects)
    people.stores.subjects.liftBlock = async (...asked) => {
      people.state.recordingFails = true
      return lift(...asked)
    }
    await expect(people.subjects.unblock(block.id, by.ann)).rejects.toMatchObject({ code: 'audit.unavailable' })
    expect(await people.subjects.list({}, by.ann)).toEqual([block])
  })
})
