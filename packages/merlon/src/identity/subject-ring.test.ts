import { expect, test } from 'vitest'
import type { Follower } from './change-poll.ts'
import { CredentialNews } from './credential-news.ts'
import { SubjectRing } from './subject-ring.ts'
import type { Blocked } from './subject-store.ts'
import { now } from './token.fixture.ts'

const ann = { issuer: 'https://id.example', subject: 'ann' }
const id = 'https://id.example#ann'
const nowhere: Blocked = { everywhere: false, tenants: new Set() }

function ringWith() {
  const state = { blocked: nowhere, down: false, asked: 0, reading: undefined as Promise<void> | undefined }
  const told: string[] = []
  const followers: Follower[] = []
  const poll = {
    revision: 1,
    trusted: true,
    vouches: () => poll.trusted,
    follow: (follower: Follower) => void followers.push(follower),
  }
  const news = new CredentialNews(() => expect.unreachable())
  news.onWithdrawn((credential, tenant) => told.push(`${credential} in ${tenant}`))
  const ring = new SubjectRing({
    store: {
      async blocksOf() {
        state.asked++
        const found = state.blocked
        if (state.down) throw new Error('out of reach')
        await state.reading
        return found
      },
    },
    poll,
    news,
  })
  const block = async (tenant: string | undefined) => {
    state.blocked = { everywhere: tenant === undefined, tenants: new Set(tenant === undefined ? [] : [tenant]) }
    const changes = {
      revision: poll.revision + 1,
      keys: [],
      signIns: [],
      subjects: [{ ...ann, tenant }],
      suspended: [],
      disabled: [],
    }
    const tellings = followers.map((follower) => follower(changes, false))
    poll.revision++
    for (const tell of tellings) await tell()
  }
  const ask = (tenant = 'a') => ring.isBlocked(id, ann, tenant, now)
  return {
    ask,
    state,
    poll,
    told,
    block,
    everything: () =>
      followers[0]?.({ ...poll, keys: [], signIns: [], subjects: [], suspended: [], disabled: [] }, true),
  }
}

test('answers at once while a poll vouches that nobody has blocked the subject', async () => {
  const { ask, state } = ringWith()
  expect(await ask()).toBe(false)
  expect(ask()).toBe(false)
  expect(ask('b')).toBe(false)
  expect(state.asked).toBe(1)
})

test('RS-12: a subject that is blocked is refused from the next call on, and what it opened ends', async () => {
  const { ask, told, block } = ringWith()
  expect(await ask()).toBe(false)
  await block(undefined)
  expect(told).toEqual(['https://id.example#ann in undefined'])
  expect(await ask()).toBe(true)
  expect(await ask('b')).toBe(true)
})

test('AU-04: blocked in one tenant it is refused there, and loses what it opened there', async () => {
  const { ask, told, block } = ringWith()
  await ask()
  await block('a')
  expect(told).toEqual(['https://id.example#ann in a'])
  expect(await ask('a')).toBe(true)
  expect(ask('b')).toBe(false)
})

test('a refusal is asked about each time, so that it ends with its block', async () => {
  const { ask, state, block } = ringWith()
  await block('a')
  expect(await ask()).toBe(true)
  state.blocked = nowhere
  expect(await ask()).toBe(false)
})

test('what was read before a poll told of a block is not remembered', async () => {
  const { ask, state, block } = ringWith()
  const reading = Promise.withResolvers<void>()
  state.reading = reading.promise
  const early = ask()
  await block(undefined)
  reading.resolve()
  expect(await early).toBe(false)
  expect(await ask()).toBe(true)
})

test('asks where no poll vouches, and after a store was put back; an outage is no answer', async () => {
  const { ask, state, poll, everything } = ringWith()
  await ask()
  poll.trusted = false
  expect(await ask()).toBe(false)
  poll.trusted = true
  everything()
  expect(await ask()).toBe(false)
  expect(state.asked).toBe(3)
  poll.trusted = false
  state.down = true
  await expect(ask()).rejects.toMatchObject({ code: 'store.unavailable' })
})
