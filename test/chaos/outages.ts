import type { TestRedis } from '../../packages/merlon/src/store/redis/test-redis.ts'
import type { OwnPostgres } from '../postgres.ts'
import type { Ledger, Run } from './ledger.ts'
import type { ReplicaProcess } from './replica-process.ts'

export interface Parts {
  readonly replicas: readonly ReplicaProcess[]
  readonly redis: TestRedis
  readonly postgres: OwnPostgres
}

export interface Outages {
  kills: number
  redisFreezes: number
  redisKills: number
  postgresRestarts: number
}

const betweenMs = 1_000
const redisDownMs = 2_500
/** Longer than a server that starts takes to find that its store is shut. */
const startingMs = 15_000
const startsMax = 20

/** Numbers that are the same for the same seed (mulberry32). */
export function numbers(seed: number): (below: number) => number {
  let state = seed | 0
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/**
 * Kills one server a second, so many times, and starts it again at once; one of them serves at all times. Now and then
 * Redis stands still or dies, in turn, and PostgreSQL is restarted. At the end everything runs again.
 */
export async function breakThings(
  parts: Parts,
  kills: number,
  seed: number,
  ledger: Ledger,
  run: Run,
): Promise<Outages> {
  const { replicas, redis, postgres } = parts
  const random = numbers(seed)
  const done: Outages = { kills: 0, redisFreezes: 0, redisKills: 0, postgresRestarts: 0 }
  const mending: Promise<void>[] = []
  const later = (work: () => Promise<void>) =>
    mending.push(work().catch((cause: unknown) => ledger.violation(`what was broken does not come back: ${cause}`)))
  let redisIsWell = true
  let postgresRuns = true

  const breakRedis = async () => {
    redisIsWell = false
    if (done.redisFreezes <= done.redisKills) {
      done.redisFreezes++
      redis.freeze()
      await run.wait(redisDownMs)
      redis.thaw()
    } else {
      done.redisKills++
      await redis.kill()
      await run.wait(redisDownMs)
      await redis.restart()
    }
    redisIsWell = true
  }

  while (done.kills < kills && run.goesOn) {
    const next = performance.now() + betweenMs
    const alive = replicas.filter(({ port }) => port !== 0)
    if (alive.length > 1) {
      const victim = alive[random(alive.length)]!
      done.kills++
      await victim.kill()
      later(async () => {
        const began = performance.now()
        // As whatever runs it does: without its store a server does not start, and is started again.
        for (let attempt = 1; victim.port === 0; attempt++) {
          await victim.restart().catch((cause: unknown) => {
            if (attempt >= startsMax || postgresRuns) throw cause
            ledger.note('started again')
          })
        }
        ledger.startMs.push(performance.now() - began)
      })
      if (done.kills % 8 === 4 && redisIsWell) later(breakRedis)
      if (done.kills % 15 === 10) {
        done.postgresRestarts++
        postgresRuns = false
        await postgres.halt()
        await postgres.start()
        // Whoever found it shut may only tell so now.
        later(async () => {
          await run.wait(startingMs)
          postgresRuns = true
        })
      }
    }
    await run.wait(Math.max(20, next - performance.now()))
  }
  await Promise.all(mending)
  return done
}
