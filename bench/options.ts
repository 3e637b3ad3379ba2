import { parseArgs } from 'node:util'

export interface Options {
  readonly connections: number
  /** Calls made to each server before anything is counted: the JIT settles by calls, not by time. */
  readonly warmupCalls: number
  readonly rounds: number
  readonly roundMs: number
  /** Rounds at half of saturation, and the length of one server's part in one. */
  readonly pacedRounds: number
  readonly pacedMs: number
  readonly growthCalls: number
  readonly heldCount: number
  /** Also the rows that take minutes to prepare. */
  readonly full: boolean
  /** Names of the rows to run; empty means all. */
  readonly only: readonly string[]
  readonly write: boolean
}

const thorough = {
  warmupCalls: 30_000,
  rounds: 7,
  roundMs: 1_500,
  pacedRounds: 5,
  pacedMs: 800,
  growthCalls: 200_000,
  heldCount: 1_000,
}
const quick = {
  warmupCalls: 3_000,
  rounds: 5,
  roundMs: 300,
  pacedRounds: 3,
  pacedMs: 250,
  growthCalls: 5_000,
  heldCount: 200,
}

export const usage = `npm run bench -- [options]
  --quick              fewer calls: to see that it works, not to compare
  --full               also the rows that take minutes to prepare
  --only <a,b>         these rows alone; raw and sdk-v2 are needed for ratios
  --rounds <n>         rounds of the interleaved measurement (7)
  --round-ms <ms>      length of one server's part of a round (1500)
  --warmup <n>         calls to each server before anything is counted (30000)
  --connections <n>    keep-alive connections (32)
  --no-write           print the table without writing it to results/
`

function positive(name: string, given: string | undefined, otherwise: number): number {
  if (given === undefined) return otherwise
  const value = Number(given)
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} must be a whole number of at least 1`)
  return value
}

/** Reads the command line. Throws on what it does not know. */
export function parseOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      only: { type: 'string' },
      rounds: { type: 'string' },
      'round-ms': { type: 'string' },
      warmup: { type: 'string' },
      connections: { type: 'string' },
      'no-write': { type: 'boolean', default: false },
    },
  })
  const base = values.quick ? quick : thorough
  return {
    ...base,
    connections: positive('connections', values.connections, 32),
    warmupCalls: positive('warmup', values.warmup, base.warmupCalls),
    rounds: positive('rounds', values.rounds, base.rounds),
    roundMs: positive('round-ms', values['round-ms'], base.roundMs),
    full: values.full,
    only: values.only?.split(',').filter((name) => name !== '') ?? [],
    write: !values['no-write'],
  }
}
