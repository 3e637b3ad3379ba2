import { expect, test } from 'vitest'
import type { Follower } from './change-poll.ts'
import { CredentialNews } from './credential-news.ts'
import { TenantRing } from './tenant-ring.ts'
import type { Tenant } from './tenant-store.ts'
import { now } from './token.fixture.ts'

function ringWith(more: { readonly rememberedMax?: number; readonly tenantsMax?: number } = {}) {
  const tenants = new Map<string, Pick<Tenant, 'status' | 'scopes'>>([['a', { status: 'active', scopes: undefined }]])
  const asked: string[] = []
  const told: string[] = []
  const followers: Follower[] = []
  const poll = {
    revision: 1,
    trusted: true,
    vouches: () => poll.trusted,
    follow: (follower: Follower) => void followers.push(follower),
  }
  const news = new CredentialNews(() => expect.unreachable())
  news.onWithdrawn((credential, tenant) => told.push(`withdrawn ${credential} of ${tenant}`))
  news.onChanged((credential, tenant) => told.push(`changed ${credential} of ${tenant}`))
  let down = false
  const ring = new TenantRing({
    store: {
      findTenant: async (_reach, id) => {
        asked.push(id)
        if (down) throw new Error('out of reach')
        return tenants.get(id) as Tenant | undefined
      },
    },
    poll,
    news,
    ...more,
  })
  const change = async (tenant: Pick<Tenant, 'status' | 'scopes'>) => {
    tenants.set('a', tenant)
    const tellings = followers.map((follower) =>
      follower(
        { revision: poll.revision + 1, keys: [], signIns: [], subjects: [], suspended: [], disabled: [] },
        false,
      ),
    )
    poll.revision++
    for (const tell of tellings) await tell()
  }
  return { ring, poll, tenants, asked, told, change, fail: () => (down = true) }
}

test('answers at once while a poll vouches that nothing has changed', async () => {
  const { ring, asked } = ringWith()
  expect(await ring.tenantAt('a', 'one', now)).toEqual({ scopes: undefined })
  expect(ring.tenantAt('a', 'two', now)).toEqual({ scopes: undefined })
  expect(asked).toEqual(['a'])
})

test('asks again where no poll vouches, and an outage is no answer', async () => {
  const { ring, poll, asked, fail } = ringWith()
  await ring.tenantAt('a', 'one', now)
  poll.trusted = false
  expect(await ring.tenantAt('a', 'one', now)).toEqual({ scopes: undefined })
  expect(asked).toEqual(['a', 'a'])
  fail()
  await expect(ring.tenantAt('a', 'one', now)).rejects.toMatchObject({ code: 'store.unavailable' })
})

test('a tenant that is not there is nothing, and is not remembered', async () => {
  const { ring, asked } = ringWith()
  expect(await ring.tenantAt('z', 'one', now)).toBeUndefined()
  expect(await ring.tenantAt('z', 'one', now)).toBeUndefined()
  expect(asked).toEqual(['z', 'z'])
})

test('RS-12: a tenant that is suspended takes with it what its subjects opened, and once', async () => {
  const { ring, told, change } = ringWith()
  await ring.tenantAt('a', 'one', now)
  await ring.tenantAt('a', 'two', now)
  await change({ status: 'active', scopes: undefined })
  expect(told).toEqual([])
  await change({ status: 'suspended', scopes: undefined })
  expect(told).toEqual(['withdrawn one of a', 'withdrawn two of a'])
  expect(await ring.tenantAt('a', 'one', now)).toBeUndefined()
  await change({ status: 'active', scopes: undefined })
  expect(told).toEqual(['withdrawn one of a', 'withdrawn two of a'])
})

test('RS-12: a tenant that is limited otherwise renews what its subjects opened', async () => {
  const { ring, told, change } = ringWith()
  await ring.tenantAt('a', 'one', now)
  await change({ status: 'active', scopes: ['read'] })
  expect(told).toEqual(['changed one of a'])
  expect(ring.tenantAt('a', 'one', now)).toEqual({ scopes: new Set(['read']) })
})

test('RS-12: who came lately is told of, however many came before them', async () => {
  const { ring, told, change } = ringWith({ rememberedMax: 4 })
  for (let at = 0; at < 20; at++) await ring.tenantAt('a', `subject ${at}`, now)
  await change({ status: 'suspended', scopes: undefined })
  expect(told).toContain('withdrawn subject 19 of a')
  expect(told).toContain('withdrawn subject 18 of a')
  expect(told.length).toBeLessThanOrEqual(4)
})

test('RS-12: where nobody can tell what became of a tenant, what its subjects opened is opened anew', async () => {
  const { ring, told, change, fail } = ringWith()
  await ring.tenantAt('a', 'one', now)
  fail()
  await change({ status: 'suspended', scopes: undefined })
  expect(told).toEqual(['changed one of a'])
})

test('RS-12: what the subjects of a tenant opened is opened anew when the tenant is no longer followed', async () => {
  const { ring, tenants, told, change } = ringWith({ tenantsMax: 2 })
  for (const id of ['b', 'c']) tenants.set(id, { status: 'active', scopes: undefined })
  for (const id of ['a', 'b', 'c']) await ring.tenantAt(id, `one of ${id}`, now)
  expect(told).toEqual(['changed one of a of a'])
  tenants.set('b', { status: 'suspended', scopes: undefined })
  await change({ status: 'active', scopes: undefined })
  expect(told).toEqual(['changed one of a of a', 'withdrawn one of b of b'])
})
