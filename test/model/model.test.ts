import { afterAll, expect, test } from 'vitest'
import { testPostgres } from '../../packages/merlon/src/store/sql/test-postgres.ts'
import { figures, playKind } from './play-all.ts'

/*
 * Random histories of two tenants: sessions opened and ended, calls that speak on streams, streams lost, taken up again,
 * raced for and stolen, questions, changes, keys taken back, time that passes, servers restarted and killed. Every answer is
 * held against a reference model. `npm run model` plays more of them, and one again that failed.
 */

const seed = Number(process.env['MODEL_SEED'] ?? 1)

const postgres = await testPostgres()
const database = 'database' in postgres ? postgres.database : undefined
afterAll(async () => {
  if ('close' in postgres) await postgres.close()
})

test('EV-04, EV-02, EV-05, EV-09, SE-11: 157 random histories have no gap, no event twice and none of another', {
  timeout: 600_000,
}, async () => {
  const played = await playKind('one', { histories: 157, seed, lanes: 2 })
  console.info(figures(played))
  expect(played.counts.resumes).toBeGreaterThan(400)
  expect(played.counts.refusals).toBeGreaterThan(400)
})

test.skipIf(database === undefined)(
  'EV-04, EV-09: nor have 36 histories that move between three servers',
  {
    timeout: 600_000,
  },
  async () => {
    const played = await playKind('moved', { histories: 36, seed, lanes: 1 }, database)
    console.info(figures(played))
    expect(played.counts.moves).toBeGreaterThan(50)
  },
)

test('EV-04, EV-07: nor have 4 histories in which the server is killed', { timeout: 600_000 }, async () => {
  const played = await playKind('killed', { histories: 4, seed, lanes: 1 })
  console.info(figures(played))
  expect(played.counts.kills).toBeGreaterThan(3)
})

test.skipIf(database === undefined)(
  'EV-04, EV-07, EV-09: nor have 3 histories that move between two servers which are killed',
  { timeout: 600_000 },
  async () => {
    const played = await playKind('moved-and-killed', { histories: 3, seed, lanes: 1 }, database)
    console.info(figures(played))
    expect(played.counts.kills).toBeGreaterThan(0)
    expect(played.counts.moves).toBeGreaterThan(0)
  },
)
