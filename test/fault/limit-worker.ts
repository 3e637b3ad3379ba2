import { limitOf, takeOf } from '../../packages/merlon/src/limit/limit-store.ts'
import { RedisLimitStore } from '../../packages/merlon/src/store/redis/limit-store.ts'

/** Takes from one bucket so many times, some hundred at once, and writes how often it was given, and how often nobody knows. */
const [, , url = '', prefix = '', takes = '0'] = process.argv
const atOnce = 200

const store = new RedisLimitStore({ url, prefix, time: 'server' })
await store.probe()
// So long a window that nothing comes back while it is counted.
const limit = limitOf({ name: 'shared', callsMax: 2_000, windowMs: 2_147_483_647 })
const take = [takeOf(limit, ['everyone'])]

let left = Number(takes)
let given = 0
let unknown = 0
const lane = async () => {
  while (left-- > 0) {
    // On a busy machine an answer may come too late.
    const taken = await store.take(take, 0).catch(() => undefined)
    if (taken === undefined) unknown++
    else if (taken.ok) given++
  }
}
await Promise.all(Array.from({ length: atOnce }, lane))
process.stdout.write(`${given} ${unknown}\n`)
store.close()
