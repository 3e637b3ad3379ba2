import { parseArgs } from 'node:util'
import { chaos } from './chaos.ts'
import { figures } from './report.ts'

/*
 * Three servers on one PostgreSQL and one Redis, under load, one killed every second:
 *
 *     npm run chaos -- --kills 1000 [--seed 7] [--calls-per-second-min 200]
 *
 * Ends with 1 where anything was lost, came twice, or let somebody in, and where the load was less than it was told to be.
 */

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    seed: { type: 'string' },
    'calls-per-second-min': { type: 'string' },
  },
})
const callsPerSecondMin = Number(values['calls-per-second-min'] ?? 0)
if (!(callsPerSecondMin >= 0)) throw new Error('--calls-per-second-min is a number')
const seed = values.seed === undefined ? Math.trunc(Math.random() * 2 ** 31) : Number(values.seed)
console.log(`seed ${seed}`)
const outcome = await chaos({ kills: Number(values.kills), seed })
console.log(figures(outcome))
for (const violation of outcome.ledger.violations.slice(0, 50)) console.error(`VIOLATION: ${violation}`)
const isLoaded = outcome.callsPerSecond >= callsPerSecondMin
if (!isLoaded) console.error(`${outcome.callsPerSecond.toFixed(0)} calls a second are less than ${callsPerSecondMin}`)
process.exitCode = isLoaded && outcome.ledger.violations.length === 0 ? 0 : 1
