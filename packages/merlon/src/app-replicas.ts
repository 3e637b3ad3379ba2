import type { AuditLog } from './audit/audit-log.ts'
import type { Clock } from './call.ts'
import type { Log } from './dispatch/services.ts'
import { Fault } from './errors.ts'
import { every } from './every.ts'
import { type Bus, OwnBus } from './replica/bus.ts'
import { type Replicas, SingleReplica } from './replica/replicas.ts'
import { SharedBus, type WakesOver } from './replica/shared-bus.ts'
import { openDatabase } from './store/sql/database.ts'
import { beatMs, SqlReplicas } from './store/sql/replicas.ts'
import type { Watch } from './watch/watch.ts'

/** Which processes are on the same store, and how they wake each other. */
export interface Sharing {
  readonly replicas: Replicas
  readonly bus: Bus
  /** Refuses, within a transaction, what a replica would write after the others gave it up; absent where there are no others. */
  readonly fence?: SqlReplicas['fence']
  close(): Promise<void>
}

/** Of a process that has its store to itself. */
export function alone(): Sharing {
  return { replicas: new SingleReplica(), bus: new OwnBus(), close: async () => undefined }
}

const probeMs = 500
const sweepMs = 5_000

/** Takes a name among the processes on this PostgreSQL, and listens for their wakes there and, where there is one, on Redis. */
export async function openReplicas(parts: {
  readonly databaseUrl: string
  readonly redisUrl: string | undefined
  readonly redisPrefix: string
  readonly audit: Pick<AuditLog, 'append'>
  readonly watch: Pick<Watch, 'followWakes'>
  readonly log: Log
  readonly steadyClock: Clock
}): Promise<Sharing> {
  const { databaseUrl, redisUrl: url, redisPrefix: prefix, audit, watch, log, steadyClock } = parts
  // What a server that is alone does not need is not loaded where there is none: a start takes less.
  const { PostgresBus } = await import('./store/sql/bus.ts')
  const redis = url && new (await import('./store/redis/bus.ts')).RedisBus({ url, prefix })
  // Connections of its own: a sign of life must not wait behind the work.
  const database = await openDatabase({ databaseUrl })
  const bus = new SharedBus({
    redis: redis || undefined,
    postgres: new PostgresBus(databaseUrl),
    onChange: tellOf({ audit, log, redis: url !== undefined }),
  })
  watch.followWakes(() => bus.over)
  let replicas: SqlReplicas
  try {
    await bus.probe()
    replicas = await SqlReplicas.open({ database, steadyClock })
  } catch (error) {
    await bus.close()
    await database.close()
    throw error
  }
  replicas.onCut(() => {
    audit.append({ type: 'server', success: false, level: 'error', action: 'replica.cut' })
    log.error({}, 'the other servers on this database gave this one up: it had been silent; its open streams are ended')
  })
  const failed = (cause: unknown) => log.error({ err: cause }, 'a sign of life to the other servers failed')
  const timers = [
    every(beatMs, () => replicas.beat(), failed),
    every(sweepMs, () => replicas.sweep(), failed),
    every(probeMs, () => bus.probe(), failed),
  ]
  return {
    replicas,
    bus,
    fence: replicas.fence,
    async close() {
      for (const timer of timers) clearInterval(timer)
      await replicas.close().catch(failed)
      await bus.close()
      await database.close()
    },
  }
}

/** Says so when wakes travel otherwise than they should, and when they do as they should again. */
function tellOf({
  audit,
  log,
  redis,
}: {
  readonly audit: Pick<AuditLog, 'append'>
  readonly log: Log
  readonly redis: boolean
}): (over: WakesOver, before: WakesOver, cause: unknown) => void {
  const best: WakesOver = redis ? 'redis' : 'postgres'
  let started = false
  return (over, before, cause) => {
    const first = !started
    started = true
    const well = over === best
    if (well && first) return
    const reason = cause instanceof Fault ? (cause.cause as Error).message : undefined
    audit.append({
      type: 'server',
      success: well,
      level: well ? 'info' : over === 'none' ? 'error' : 'warn',
      action: well ? 'wakes.recovered' : 'wakes.lost',
      outcome: over,
      reason: well ? undefined : reason,
    })
    if (well) log.info({ over }, 'replicas wake each other as before')
    else
      log.error(
        { over, before, reason },
        'replicas wake each other less well: what is new is found by polls, a moment later',
      )
  }
}
