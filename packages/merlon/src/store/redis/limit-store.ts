import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Instant } from '../../call.ts'
import { Fault } from '../../errors.ts'
import {
  callsLeft,
  fillMs,
  type Limit,
  type Refused,
  refillMs,
  type SharedLimitStore,
  type Take,
  type Taken,
} from '../../limit/limit-store.ts'
import { connectRedis, redisFailure } from './connection.ts'

/**
 * Takes from all buckets or from none, or gives back. A bucket is one text, "debt at", that ends a minute after it is full
 * again: its end is set with it, in the same act. Time is that of the Redis server, so that processes whose clocks differ
 * agree, unless a time is told.
 *
 * KEYS the buckets. ARGV `take` or `give`; the time or nothing; then for each bucket the cost in ticks, ticks a millisecond,
 * ticks at most, and milliseconds to fill. Answers {1, debt, lag, …} or {0, which, wait, debt}; `lag` is how far the bucket's time
 * is ahead of now.
 */
const script = `
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local giving = ARGV[1] == 'give'
local function keep(key, debt, at, perMs)
  local ttl = math.ceil(debt / perMs) + (at - now) + 60000
  redis.call('SET', key, string.format('%.0f %.0f', debt, at), 'PX', string.format('%.0f', ttl))
end
local debts, ats, known = {}, {}, {}
local which, wait = 0, 0
for i, key in ipairs(KEYS) do
  local base = 4 * i - 2
  local cost, perMs, most, fill = tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3]), tonumber(ARGV[base + 4])
  local debt, at = 0, now
  local kept = redis.call('GET', key)
  if kept then
    local d, a = string.match(kept, '^(%d+) (%d+)$')
    debt, at = tonumber(d), tonumber(a)
    known[i] = true
    if now > at then
      debt = math.max(0, debt - (now - at) * perMs)
      at = now
    elseif at - now > fill then
      at = now
      keep(key, debt, at, perMs)
    end
  end
  debts[i], ats[i] = debt, at
  if not giving and debt + cost > most then
    local this = (cost > most) and fill or math.ceil((debt + cost - most) / perMs)
    this = this + (at - now)
    if this > wait then which, wait = i, this end
  end
end
if which > 0 then return { 0, which, wait, debts[which] } end
local answer = { 1 }
for i, key in ipairs(KEYS) do
  local base = 4 * i - 2
  local cost, perMs = tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2])
  if giving then
    if known[i] then keep(key, math.max(0, debts[i] - cost), ats[i], perMs) end
  else
    keep(key, debts[i] + cost, ats[i], perMs)
    answer[2 * i] = debts[i] + cost
    answer[2 * i + 1] = ats[i] - now
  end
end
return answer
`
const digest = createHash('sha1').update(script).digest('hex')

export interface RedisLimitsOptions {
  readonly url: string
  /** Sets the buckets of one installation apart from those of another in the same Redis. */
  readonly prefix: string
  /** Whose time counts. `caller` is for whoever brings a time of its own, such as a test. */
  readonly time: 'server' | 'caller'
}

interface Empty {
  readonly cost: number
  /** For so long it is believed without asking. */
  readonly until: Instant
  readonly freeAt: Instant
  readonly remaining: number
}

/** How long, and of how many buckets, it is remembered that there was too little. */
const emptyMsMax = 1_000
const emptyMax = 10_000

/** Buckets in Redis, for all processes that name the same one. Rejects with `store.unavailable` while it is out of reach. */
export class RedisLimitStore implements SharedLimitStore {
  readonly state = 'shared'
  readonly #client: Redis
  readonly #prefix: string
  readonly #ownTime: boolean
  /** Buckets that had too little for such a cost, until when. */
  readonly #empty = new Map<string, Empty>()

  constructor({ url, prefix, time }: RedisLimitsOptions) {
    this.#client = connectRedis(url)
    // One slot of a cluster: the buckets of one call are taken in one act.
    this.#prefix = `${prefix}:{limits}:`
    this.#ownTime = time === 'server'
  }

  async take(takes: readonly Take[], now: Instant): Promise<Taken | Refused> {
    if (takes.length === 0) return { ok: true, limit: undefined, remaining: 0, refillMs: 0 }
    const answer = await this.#run('take', takes, now)
    if (answer[0] === 0) {
      const { limit, bucket, cost } = takes[answer[1]! - 1]!
      const retryAfterMs = answer[2]!
      const remaining = callsLeft(limit, answer[3]!)
      this.#rememberEmpty(bucket, {
        cost,
        until: now + Math.min(retryAfterMs, emptyMsMax),
        freeAt: now + retryAfterMs,
        remaining,
      })
      return { ok: false, limit, retryAfterMs, remaining }
    }
    let closest: Limit | undefined
    let remaining = Number.POSITIVE_INFINITY
    let refill = 0
    for (const [at, { limit }] of takes.entries()) {
      if (!limit.told) continue
      const debt = answer[2 * at + 1]!
      const left = callsLeft(limit, debt)
      if (left >= remaining) continue
      closest = limit
      remaining = left
      refill = refillMs(limit, debt, left) + answer[2 * at + 2]!
    }
    return { ok: true, limit: closest, remaining: closest === undefined ? 0 : remaining, refillMs: refill }
  }

  /** Knows only what this process was told in the last second. */
  peek(takes: readonly Take[], now: Instant): Refused | undefined {
    if (this.#empty.size === 0) return undefined
    for (const { limit, bucket, cost } of takes) {
      const empty = this.#empty.get(bucket)
      if (empty !== undefined && cost >= empty.cost && now < empty.until)
        return { ok: false, limit, retryAfterMs: empty.freeAt - now, remaining: empty.remaining }
    }
    return undefined
  }

  async giveBack(takes: readonly Take[], now: Instant): Promise<void> {
    if (takes.length === 0) return
    for (const { bucket } of takes) this.#empty.delete(bucket)
    await this.#run('give', takes, now)
  }

  /** Redis forgets by itself; what is remembered here is forgotten here. */
  sweep(now: Instant): number {
    const before = this.#empty.size
    for (const [bucket, { until }] of this.#empty) if (until <= now) this.#empty.delete(bucket)
    return before - this.#empty.size
  }

  async probe(): Promise<void> {
    try {
      if (this.#client.status === 'wait') await this.#client.connect()
      await this.#client.ping()
    } catch (cause) {
      throw unavailable(cause)
    }
  }

  close(): void {
    this.#client.disconnect()
  }

  async #run(act: 'take' | 'give', takes: readonly Take[], now: Instant): Promise<number[]> {
    const keys: string[] = []
    const facts: (string | number)[] = [act, this.#ownTime ? '' : now]
    for (const { limit, bucket, cost } of takes) {
      keys.push(this.#prefix + bucket)
      facts.push(cost * limit.ticksPerCall, limit.ticksPerMs, limit.ticksMax, fillMs(limit))
    }
    const run = () => this.#client.evalsha(digest, keys.length, ...keys, ...facts) as Promise<number[]>
    try {
      return await run().catch(async (cause: unknown) => {
        if (!(cause instanceof Error) || !cause.message.startsWith('NOSCRIPT')) throw cause
        await this.#client.script('LOAD', script)
        return run()
      })
    } catch (cause) {
      throw unavailable(cause)
    }
  }

  #rememberEmpty(bucket: string, empty: Empty): void {
    if (this.#empty.size >= emptyMax && !this.#empty.has(bucket)) this.#empty.clear()
    this.#empty.set(bucket, empty)
  }
}

function unavailable(cause: unknown): Fault {
  return new Fault('store.unavailable', { reason: 'limits', retryAfterMs: 1_000, cause: redisFailure(cause) })
}
