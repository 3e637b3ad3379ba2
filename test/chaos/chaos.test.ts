import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { startPostgres } from '../postgres.ts'
import { chaos } from './chaos.ts'
import { figures } from './report.ts'

/*
 * Three servers, PostgreSQL and Redis as they are, and a load that notes what it was told. `npm run chaos` does the same for
 * as many kills as one likes; what a release withstood is in docs/reference/reliability.md.
 */

const seed = Number(process.env['CHAOS_SEED'] ?? 1)
const kills = 20

/** Why it cannot be done here, if so. With REQUIRE_SERVICES=1 that is an error. */
async function lacking(): Promise<string | undefined> {
  const redis = ['redis-server', 'valkey-server'].some((name) => spawnSync(name, ['--version']).status === 0)
  try {
    if (!redis) throw new Error('neither redis-server nor valkey-server is installed')
    await (await startPostgres()).close()
    return undefined
  } catch (error) {
    if (process.env['REQUIRE_SERVICES'] === '1') throw error
    return (error as Error).message
  }
}

const reason = await lacking()
if (reason !== undefined) console.warn(`the servers are not killed: ${reason}`)

test.skipIf(reason !== undefined)(
  `EV-04, EV-07, AK-07, SE-05: ${kills} kills under load lose nothing that was acknowledged, repeat nothing, and let nobody in`,
  { timeout: 900_000 },
  async () => {
    const outcome = await chaos({ kills, seed })
    console.info(`seed ${seed}\n${figures(outcome)}`)
    const { ledger, outages } = outcome
    expect(ledger.violations).toEqual([])
    expect({ lost: ledger.lost, twice: ledger.twice, admitted: ledger.admitted }).toEqual({
      lost: 0,
      twice: 0,
      admitted: 0,
    })
    expect(outages).toMatchObject({ kills, postgresRestarts: 1 })
    expect(outages.redisFreezes).toBeGreaterThan(0)
    expect(outages.redisKills).toBeGreaterThan(0)
    // That it was a load at all.
    for (const count of [
      ledger.calls,
      ledger.resumes,
      ledger.questions,
      ledger.strangers,
      ledger.ended,
      ledger.revoked,
    ])
      expect(count).toBeGreaterThan(0)
  },
)
