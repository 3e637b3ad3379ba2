import { createHmac } from 'node:crypto'
import type { Clock, RandomBytes } from './call.ts'
import type { Config } from './config/schema.ts'
import type { Log } from './dispatch/services.ts'
import { every } from './every.ts'
import type { Installation } from './installation/installation.ts'
import type { Bus } from './replica/bus.ts'
import { oneAtATime } from './replica/one-at-a-time.ts'
import type { DataKeys } from './sealing/data-keys.ts'
import type { SqlDatabase } from './store/sql/database.ts'
import { type HistoryParts, SqlHistoryStore } from './store/sql/history-store.ts'
import { SqlMailbox } from './store/sql/mailbox.ts'
import { SqlSessionStore } from './store/sql/session-store.ts'

/** What outlives a call. */
export interface Kept {
  readonly sessions: SqlSessionStore | undefined
  readonly history: SqlHistoryStore | undefined
  /** What the replicas leave for each other; undefined where there is but one. */
  readonly mailbox: SqlMailbox | undefined
  close(): Promise<void>
}

const pollMs = 250
const noteMs = 5_000
/** A client answers a question or takes back a call now and then; what fills more than this is no client of good will. */
const mailBounds = {
  perSession: 200,
  perPrincipal: { letters: 2_000, bytes: 16_777_216 },
  perTenant: { letters: 10_000, bytes: 33_554_432 },
  ofSessions: { letters: 16_000, bytes: 50_331_648 },
  inAll: { letters: 20_000, bytes: 67_108_864 },
}
/** What is kept for one session at most, whatever the number of its events. */
const historyBytesMax = 4_194_304

/**
 * Where sessions are kept, and what their streams were sent: sealed, in the database of the installation, so that both
 * outlive this process and others on the same database can go on with them.
 */
export function openSessions(parts: {
  readonly config: Config
  readonly installation: Installation
  readonly database: SqlDatabase
  readonly keys: DataKeys
  readonly shared: boolean
  readonly bus: Bus
  readonly writer: HistoryParts['writer']
  readonly log: Log
  readonly clock: Clock
  readonly random: RandomBytes
  /** Told of each record that does not open. */
  readonly onUnreadable?: () => void
}): Kept {
  const { config, installation, database, keys, shared, bus, writer, log, clock, random } = parts
  const { audit, sealing } = installation
  const common = {
    database,
    keys,
    digest: (text: string) => createHmac('sha256', sealing.sessionId).update(text).digest(),
    random,
    onUnreadable({ tenant, key }: { tenant: string; key: string | undefined }) {
      audit.append({ type: 'crypto', success: false, level: 'error', tenant, key, reason: 'unreadable' })
      log.error({ tenant, key }, 'a record that is kept sealed cannot be opened: it was changed, or its key is gone')
      parts.onUnreadable?.()
    },
  }
  const { idleMs } = config.session
  const sessions = config.session.enabled
    ? new SqlSessionStore({ ...common, idleMs, shared, wake: () => bus.wake('sessions') })
    : undefined
  const bounds = { ...config.resumability, bytesMax: historyBytesMax }
  const history = config.resumability.enabled ? new SqlHistoryStore({ ...common, bounds, writer }) : undefined
  const tenantless = { id: 'notices00000', key: sealing.mail }
  const mailbox = shared ? new SqlMailbox({ ...common, tenantless, bounds: mailBounds }) : undefined
  const failed = (cause: unknown) => log.error({ err: cause }, 'keeping sessions failed')
  const poll = oneAtATime(async () => sessions?.poll(clock()))
  const stopListening = bus.onWake((text) => {
    if (shared && text === 'sessions') poll().catch(failed)
  })
  const timers = [
    every(noteMs, () => sessions?.flush(idleMs / 10), failed),
    ...(shared ? [every(pollMs, poll, failed)] : []),
  ]
  return {
    sessions,
    history,
    mailbox,
    async close() {
      for (const timer of timers) clearInterval(timer)
      stopListening()
      await history?.settle()
      await sessions?.flush().catch(failed)
    },
  }
}
