import { createSecretKey, randomBytes } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import { Fault } from '../errors.ts'
import { openSealer } from '../sealing/seal.ts'
import { Attempts } from './attempts.ts'

const now = 1_800_000_000_000
let attempts: Attempts
let made: number
const make = async () => `made ${++made}`
const attempt = { caller: 'alice', operation: 'users.create', name: 'a1', request: '{"name":"bob"}' }

beforeEach(() => {
  attempts = new Attempts(openSealer(createSecretKey(randomBytes(32)), randomBytes), randomBytes)
  made = 0
})

test('AD-12: the same attempt makes once and answers the same, also while the first is being made', async () => {
  const [first, second] = await Promise.all([attempts.once(attempt, now, make), attempts.once(attempt, now, make)])
  expect([first, second, await attempts.once(attempt, now + 599_999, make)]).toEqual(['made 1', 'made 1', 'made 1'])
})

test('AD-12: another request under the same name is refused, and makes nothing', async () => {
  await attempts.once(attempt, now, make)
  const other = attempts.once({ ...attempt, request: '{"name":"eve"}' }, now, make)
  await expect(other).rejects.toMatchObject({ code: 'attempt.reused' })
  expect(made).toBe(1)
})

test('AU-04: a name is one of its caller and of its operation', async () => {
  const answers = [
    await attempts.once(attempt, now, make),
    await attempts.once({ ...attempt, caller: 'bob' }, now, make),
    await attempts.once({ ...attempt, operation: 'agents.create' }, now, make),
    await attempts.once({ ...attempt, name: 'a2' }, now, make),
  ]
  expect(answers).toEqual(['made 1', 'made 2', 'made 3', 'made 4'])
})

test('what was refused made nothing, and can be tried again', async () => {
  const refused = attempts.once(attempt, now, async () => {
    throw new Fault('change.conflict')
  })
  await expect(refused).rejects.toMatchObject({ code: 'change.conflict' })
  expect(await attempts.once(attempt, now, make)).toBe('made 1')
})

test('an attempt is forgotten after ten minutes, and beyond the last hundred of its caller', async () => {
  await attempts.once(attempt, now, make)
  expect(await attempts.once(attempt, now + 600_000, make)).toBe('made 2')
  for (let each = 0; each < 100; each++) await attempts.once({ ...attempt, name: `n${each}` }, now + 600_000, make)
  expect(await attempts.once({ ...attempt, name: 'n99' }, now + 600_000, make)).toBe('made 102')
  expect(await attempts.once(attempt, now + 600_000, make)).toBe('made 103')
})
