import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { IdentityStores } from './identity-store.ts'
import type { IdentityOpened } from './key-store.contract.ts'
import { everyTenant } from './reach.ts'
import type { NewSubjectBlock } from './subject-store.ts'

const now = 1_800_000_000_000
const ann = { issuer: 'https://id.example', subject: 'ann' }

/** What the store of blocked subjects is, whatever it is made of. */
export function subjectStoreContract(name: string, open: () => Promise<IdentityOpened>): void {
  describe(`the blocked subjects of ${name}`, () => {
    let opened: IdentityOpened
    let all: IdentityStores
    const others: IdentityStores[] = []

    beforeEach(async () => {
      opened = await open()
      all = opened.stores
      for (const tenant of ['a', 'b']) await all.tenants.ensureTenant(tenant, now)
    })
    afterEach(async () => {
      await Promise.all([all, ...others.splice(0)].map((each) => each.close()))
    })

    const another = async () => {
      if (opened.another === undefined) return all
      others.push(await opened.another())
      return others.at(-1)!
    }
    const blockOf = (id: string, tenant?: string, over: Partial<NewSubjectBlock> = {}): NewSubjectBlock => ({
      ...{ ...ann, id, tenant, by: 'usr_olga' },
      ...over,
    })
    const block = (id: string, tenant?: string, over: Partial<NewSubjectBlock> = {}) =>
      all.subjects.blockSubject(blockOf(id, tenant, over), now)
    const told = async (since: number) => (await all.installation.changesSince(since)).subjects
    const revision = async () => (await all.installation.changesSince(0)).revision

    it('are blocked in one tenant or in all, and are read as they were written', async () => {
      expect(await block('blk_1')).toEqual({ ...blockOf('blk_1'), blockedAt: now })
      expect(await block('blk_2', 'a')).toEqual({ ...blockOf('blk_2', 'a'), blockedAt: now })
      expect(await all.subjects.findBlock(everyTenant, 'blk_1')).toEqual({ ...blockOf('blk_1'), blockedAt: now })
      expect(await all.subjects.findBlock('a', 'blk_2')).toEqual({ ...blockOf('blk_2', 'a'), blockedAt: now })
      expect(await all.subjects.blocksOf(ann)).toEqual({ everywhere: true, tenants: new Set(['a']) })
      expect(await all.subjects.findBlock(everyTenant, 'constructor')).toBeUndefined()
    })

    it('are those of their issuer alone, to the letter', async () => {
      await block('blk_1')
      const nowhere = { everywhere: false, tenants: new Set() }
      for (const other of [
        { ...ann, issuer: 'https://id.example/' },
        { ...ann, subject: 'Ann' },
        { ...ann, subject: 'ann ' },
        { issuer: ann.subject, subject: ann.issuer },
      ])
        expect(await all.subjects.blocksOf(other)).toEqual(nowhere)
    })

    it('are blocked once in a place, by whoever comes first of twenty', async () => {
      const stores = [all, await another()]
      const made = await Promise.all(
        Array.from({ length: 20 }, (_, i) => stores[i % 2]!.subjects.blockSubject(blockOf(`blk_${i}`, 'a'), now + i)),
      )
      const [first] = made
      expect(first).toMatchObject({ tenant: 'a' })
      for (const each of made) expect(each).toEqual(first)
      expect(await all.subjects.listBlocks({ tenant: 'a', limit: 30 })).toEqual([first])
      const before = await revision()
      expect(await block('blk_again', 'a')).toEqual(first)
      expect(await revision()).toBe(before)
    })

    it('are not blocked in a tenant that is not there', async () => {
      expect(await block('blk_1', 'z')).toBe('tenant-unknown')
      expect(await all.subjects.listBlocks({ tenant: everyTenant, limit: 9 })).toEqual([])
    })

    it('AK-07: are told of as one change, and not when a block is lifted', async () => {
      const before = await revision()
      await block('blk_1')
      await block('blk_2', 'a')
      expect(await told(before)).toEqual([
        { ...ann, tenant: undefined },
        { ...ann, tenant: 'a' },
      ])
      expect(await told(before + 1)).toEqual([{ ...ann, tenant: 'a' }])
      const blocked = await revision()
      await all.subjects.liftBlock(everyTenant, 'blk_1')
      expect(await revision()).toBe(blocked + 1)
      expect(await told(blocked)).toEqual([])
    })

    it('are let in again where the block is lifted, and nowhere else', async () => {
      await block('blk_1')
      await block('blk_2', 'a')
      await block('blk_3', 'b')
      expect(await all.subjects.liftBlock(everyTenant, 'blk_1')).toEqual({ ...blockOf('blk_1'), blockedAt: now })
      expect(await all.subjects.blocksOf(ann)).toEqual({ everywhere: false, tenants: new Set(['a', 'b']) })
      expect(await all.subjects.liftBlock('a', 'blk_2')).toMatchObject({ id: 'blk_2' })
      expect(await all.subjects.blocksOf(ann)).toEqual({ everywhere: false, tenants: new Set(['b']) })
      const before = await revision()
      expect(await all.subjects.liftBlock('a', 'blk_2')).toBeUndefined()
      expect(await revision()).toBe(before)
      expect(await block('blk_4', 'a')).toMatchObject({ id: 'blk_4' })
    })

    it('AU-04: of another tenant, or of all, are neither seen nor let in by one', async () => {
      await block('blk_1')
      await block('blk_2', 'b')
      for (const id of ['blk_1', 'blk_2']) {
        expect(await all.subjects.findBlock('a', id)).toBeUndefined()
        expect(await all.subjects.liftBlock('a', id)).toBeUndefined()
      }
      expect(await all.subjects.listBlocks({ tenant: 'a', limit: 9 })).toEqual([])
      expect(await all.subjects.blocksOf(ann)).toEqual({ everywhere: true, tenants: new Set(['b']) })
      for (const lost of ['', null, undefined] as unknown as string[]) {
        await expect(all.subjects.findBlock(lost, 'blk_1')).rejects.toThrow('no tenant was named')
        await expect(all.subjects.liftBlock(lost, 'blk_1')).rejects.toThrow('no tenant was named')
        await expect(all.subjects.listBlocks({ tenant: lost, limit: 1 })).rejects.toThrow('no tenant was named')
      }
      // A tenant lost on the way is not every tenant.
      for (const lost of ['', null] as unknown as string[])
        await expect(block('blk_3', lost)).rejects.toThrow('no tenant was named')
    })

    it('are listed page by page, and by issuer and subject', async () => {
      await block('blk_1')
      await block('blk_2', 'a')
      await block('blk_3', 'a', { subject: 'bob' })
      await block('blk_4', 'b', { issuer: 'https://other.example' })
      const list = async (query: object) =>
        (await all.subjects.listBlocks({ tenant: everyTenant, limit: 3, ...query })).map(({ id }) => id)
      expect(await list({})).toEqual(['blk_1', 'blk_2', 'blk_3'])
      expect(await list({ after: 'blk_3' })).toEqual(['blk_4'])
      expect(await list({ tenant: 'a' })).toEqual(['blk_2', 'blk_3'])
      expect(await list({ subject: 'bob' })).toEqual(['blk_3'])
      expect(await list({ issuer: 'https://id.example', tenant: 'a' })).toEqual(['blk_2', 'blk_3'])
      expect(await list({ issuer: 'https://other.example', tenant: 'a' })).toEqual([])
    })

    it('are there for another server, and after a restart', async (context) => {
      if (opened.another === undefined) context.skip('what is in memory ends with its process')
      await block('blk_1', 'a')
      const again = await another()
      expect(await again.subjects.findBlock('a', 'blk_1')).toEqual({ ...blockOf('blk_1', 'a'), blockedAt: now })
      expect(await again.subjects.blocksOf(ann)).toEqual({ everywhere: false, tenants: new Set(['a']) })
      expect((await again.installation.changesSince(0)).subjects).toEqual([{ ...ann, tenant: 'a' }])
    })

    it('are not found out about when the store is gone: that is a fault', async (context) => {
      if (opened.another === undefined) context.skip('memory is never out of reach')
      const gone = await opened.another!()
      await gone.close()
      await expect(gone.subjects.blocksOf(ann)).rejects.toMatchObject({ code: 'store.unavailable' })
      await expect(gone.subjects.blockSubject(blockOf('blk_1'), now)).rejects.toMatchObject({
        code: 'store.unavailable',
      })
    })
  })
}
