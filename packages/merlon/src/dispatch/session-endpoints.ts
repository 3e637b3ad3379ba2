import type { Awaitable, Instant, Principal, Reply } from '../call.ts'
import { Fault } from '../errors.ts'
import { decodeEventId } from '../history/event-id.ts'
import type { Claim } from '../history/history-store.ts'
import type { Session } from '../session/session-store.ts'
import { claimStream, historyLost, type Wanted } from './claim-stream.ts'
import { type LiveSession, standaloneStream } from './live-session.ts'
import { checkReplay, decodeAbout, lostAnswer, mayHear } from './replay.ts'
import { persist, type Resumption, resumeAfterMs } from './resumption.ts'
import type { Running } from './running.ts'
import type { Services } from './services.ts'
import { beginTelling } from './session-changes.ts'
import { StreamFollower } from './stream-follower.ts'

/** A GET or DELETE of a session that passed its guards. */
export interface SessionCall {
  readonly principal: Principal
  readonly session: Session
  readonly requestId?: string
  /** When it came. Default: now. */
  readonly startedAt?: Instant
}

/** The event that the client has last; undefined for a new stream. */
export type LastEventId = string | undefined

/**
 * GET: opens the session's own stream, or goes on with the stream that the last event belongs to: first what the client
 * missed, then what comes, whichever process makes it. A stream has one reader; a second is refused and the first not
 * touched.
 */
export async function openSessionStream(
  services: Services,
  call: SessionCall,
  lastEventId: LastEventId,
  reply: Reply,
): Promise<void> {
  const live = services.live.of(call.session, call.principal)
  const { canResume: resumption } = live
  const place =
    lastEventId === undefined || resumption === undefined
      ? { stream: standaloneStream, seq: undefined }
      : decodeEventId(resumption.key, live.id, lastEventId)
  if (place === undefined) {
    services.live.release(live)
    throw new Fault('session.unknown', { reason: 'event-id' })
  }
  if (live.isRead(place.stream)) throw new Fault('stream.taken')
  let reading: Reading | undefined
  try {
    reading = new Reading(services, live, call, place.stream, reply)
    if (resumption === undefined) live.openStandalone().attach(reply)
    else await reading.open(resumption, place.seq)
  } catch (thrown) {
    reading?.close()
    services.live.release(live)
    throw thrown
  }
}

/** What whole milliseconds of two clocks can be wrong by: who came when a reader had all must not seem to have come before. */
const clockErrorMs = 2

/** Somebody who reads a stream by a GET, until they leave, it ends, or it is taken from them. */
class Reading {
  private readonly services: Services
  private readonly live: LiveSession
  private readonly call: SessionCall
  private readonly number: number
  private readonly reply: Reply
  private readonly running: Running
  private letGo: (() => void) | undefined
  /** For how long a reader read who had all there is; undefined for others. */
  private readMs: number | undefined
  /** Resolves when it is known what became of their claim; undefined where it is. */
  private answered: Promise<void> | undefined
  private over = false

  constructor(services: Services, live: LiveSession, call: SessionCall, number: number, reply: Reply) {
    const { principal } = call
    this.services = services
    this.live = live
    this.call = call
    this.number = number
    this.reply = reply
    this.running = {
      tenant: principal.tenant,
      tool: undefined,
      credential: principal.credential,
      binding: principal.binding,
      credentialEndsAt: principal.expiresAt,
      vouched: principal.vouched,
      deadline: Number.POSITIVE_INFINITY,
      // When it came, not now: its credential may have been withdrawn since it was checked.
      startedAt: call.startedAt ?? services.clock(),
      withdraw: (fault) => this.withdraw(fault),
      bePatient: () => reply.bePatient(),
    }
    services.running.addStream(this.running, services.streamsPerPrincipalMax)
    live.read(number, reply, principal)
    reply.onGone(() => this.close())
  }

  /** Takes the stream, and gives the reader what comes after `seq`. */
  async open(resumption: Resumption, seq: number | undefined): Promise<void> {
    const { services, live, call, number, reply } = this
    const { session, principal } = call
    const arrivedAt = call.startedAt ?? services.clock()
    const asking: Wanted['asking'] = (claim, reader) => this.ask(resumption, claim, reader)
    const held = await claimStream(resumption, { session, number, seq, arrivedAt, asking }, reply)
    const heldAt = performance.now()
    this.onClose(() => void giveUp(resumption, live, number, held.claim, this.readMs))
    if (this.over) return
    const about = held.about === undefined ? undefined : decodeAbout(held.about)
    if (about !== undefined) checkReplay(services, principal, about)
    const revision = services.revisions.stateful.get(session.version)
    const primes = revision?.primesStreams === true
    const own = number === standaloneStream
    const allows = own ? mayHear(services, principal) : () => true
    const onEnd = () => {
      // By a clock that nobody sets: a leap of it would keep others out for as long.
      this.readMs = Math.max(0, Math.trunc(performance.now() - heldAt) - clockErrorMs)
    }
    const local = own ? live.openStandalone() : live.findStream(number)

    // In one process its own messages go straight to the reader. What others may add to as well is always read back.
    if (local !== undefined && !local.isBroken && !(own && resumption.replicas.shared)) {
      this.letGo = () => (primes ? local.release(resumeAfterMs) : reply.finish())
      if (seq === undefined) {
        local.attach(reply)
        if (primes) local.prime()
        return
      }
      if (await local.resume(reply, seq, allows, onEnd)) return
      // One that broke while it was waited for is read from the history, like that of a process that is gone.
      if (!local.isBroken) throw historyLost()
    }
    if (own && services.mail !== undefined) await beginTelling(services, services.mail, live, held.told)
    const lost =
      about === undefined || revision === undefined
        ? undefined
        : () => lostAnswer(about.id, revision, call.requestId ?? '')
    const followed = { session, number, position: held.position, lost, allows, primes, onEnd }
    const follower = new StreamFollower(resumption, followed, reply)
    this.onClose(() => follower.stop())
    this.letGo = () => follower.release()
    if (seq === undefined && primes) local?.prime()
    if (!(await follower.open())) throw historyLost()
  }

  /**
   * Makes a claim. One that is not answered may have been granted: whatever this replica holds of the stream is given up, and
   * until it is, nobody else here comes to hold it by the same name.
   */
  private async ask(resumption: Resumption, claim: () => Awaitable<Claim>, reader: string): Promise<Claim> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.answered = promise
    const settle = () => {
      this.answered = undefined
      resolve()
    }
    try {
      const answer = await claim()
      settle()
      return answer
    } catch (thrown) {
      void giveUp(resumption, this.live, this.number, { of: reader }).then(settle)
      throw thrown
    }
  }

  /** What is done when it is over: now, where it is. */
  private onClose(work: () => void): void {
    if (this.over) work()
    else this.closing.push(work)
  }

  private readonly closing: (() => void)[] = []

  close(): void {
    if (this.over) return
    this.over = true
    this.services.running.remove(this.running)
    // What an ended stream holds is read in no time: who came meanwhile came at the same time, and is heard before this is over.
    if (this.readMs !== undefined) setImmediate(() => setImmediate(() => this.leave()))
    else this.leave()
  }

  private leave(): void {
    const { services, live, number, reply } = this
    for (const work of this.closing) work()
    const left = () => {
      live.leave(number, reply)
      services.live.release(live)
    }
    if (this.answered === undefined) left()
    else void this.answered.then(left)
  }

  /** A reader whose server stops, or whose rights were changed, is told to come back. */
  private withdraw(fault: Fault): void {
    // Also where nothing was sent yet: an answer that is no stream would say that there is nothing to come back for.
    this.reply.openStream()
    if (fault.code === 'server.draining' && this.letGo !== undefined) this.letGo()
    else this.reply.finish()
  }
}

/** Others may read it from here on. */
async function giveUp(
  { history, wakes }: Resumption,
  live: LiveSession,
  number: number,
  claim: number | { readonly of: string },
  readMs = 0,
): Promise<void> {
  await persist(() => history.leave(live.session, number, claim, readMs))
  wakes.wake(live.id, number)
}

/** DELETE: ends the session for good. */
export async function endSession(services: Services, { session, principal }: SessionCall): Promise<void> {
  const ended = await services.sessions?.end(session.id, principal.binding, services.clock())
  if (ended !== true) throw new Fault('session.unknown', { reason: 'session' })
}
