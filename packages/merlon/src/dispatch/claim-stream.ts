import type { Awaitable, Instant, Reply } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Claim, HistoryOwner } from '../history/history-store.ts'
import type { Resumption } from './resumption.ts'

/** A stream that somebody wants to read. */
export interface Wanted {
  readonly session: HistoryOwner
  readonly number: number
  /** The last that the reader has; undefined for one who begins. */
  readonly seq: number | undefined
  /** When they came. */
  readonly arrivedAt: Instant
  /** Makes each claim, for the replica that it names. */
  readonly asking?: (claim: () => Awaitable<Claim>, reader: string) => Awaitable<Claim>
}

export type Held = Extract<Claim, { outcome: 'held' }>

/**
 * A client that lost its connection through a balancer is often here before the other process has heard of the loss: so long
 * it is given to let go.
 */
const patienceMs = 4_000
const againMs = 250

/**
 * Takes a stream for a reader of this process. Of two who come at once one is refused at once; one who finds a reader that
 * came before them, in another process, waits for that one to leave or to die, and is refused when it does neither.
 */
export async function claimStream(resumption: Resumption, wanted: Wanted, reply: Reply): Promise<Held> {
  const { history, replicas, clock, wakes } = resumption
  const { session, number, seq, arrivedAt, asking = (claim) => claim() } = wanted
  const until = performance.now() + patienceMs
  const watch = wakes.watch(session.id, number)
  let over: string | undefined
  let first: number | undefined
  try {
    for (;;) {
      // Nothing is claimed for somebody who has left.
      if (reply.gone) throw new Fault('stream.taken')
      const now = clock()
      const dead = over === undefined ? {} : { over }
      const claimant = { reader: replicas.self, waitedMs: Math.max(0, now - arrivedAt), ...dead }
      const claim = await asking(() => history.claim(session, number, seq, claimant, now), claimant.reader)
      if (claim.outcome === 'held') return claim
      if (claim.outcome === 'moved-on') throw new Fault('stream.moved-on')
      if (claim.outcome === 'unknown') throw historyLost()
      first ??= claim.claim
      if (claim.racing || claim.claim !== first || performance.now() >= until) throw new Fault('stream.taken')
      if (claim.by !== undefined && claim.by !== over && !(await replicas.isAlive(claim.by))) over = claim.by
      else await watch.next(againMs)
    }
  } finally {
    watch.stop()
  }
}

export function historyLost(): Fault {
  return new Fault('stream.lost', { reason: 'history-lost' })
}
