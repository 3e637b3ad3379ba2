import type { Principal, Reply } from '../call.ts'
import { Fault } from '../errors.ts'
import { decodeEventId } from '../history/event-id.ts'
import type { Session } from '../session/session-store.ts'
import { standaloneStream } from './live-session.ts'
import type { Running } from './running.ts'
import type { Services } from './services.ts'

/** A GET or DELETE of a session that passed its guards. */
export interface SessionCall {
  readonly principal: Principal
  readonly session: Session
}

/** The event that the client has last; undefined for a new stream. */
export type LastEventId = string | undefined

/**
 * GET: opens the session's own stream, or goes on with the stream that the last event belongs to: first what the client
 * missed, then what comes. A stream has one reader; a second is refused and the first not touched.
 */
export async function openSessionStream(
  services: Services,
  { session, principal }: SessionCall,
  lastEventId: LastEventId,
  reply: Reply,
): Promise<void> {
  const live = services.live.of(session, principal)
  if (lastEventId === undefined || live.canResume === undefined) {
    const stream = live.openStandalone()
    if (stream.taken) throw new Fault('stream.taken')
    keepOpen(services, principal, reply)
    stream.attach(reply)
    const revision = services.revisions.stateful.get(session.version)
    if (revision?.primesStreams) stream.prime()
    return
  }
  const resumption = live.canResume
  const place = decodeEventId(resumption.key, session.id, lastEventId)
  if (place === undefined) throw new Fault('session.unknown', { reason: 'event-id' })
  // The session's own stream goes on for as long as the session, in whichever process.
  const stream = place.stream === standaloneStream ? live.openStandalone() : live.findStream(place.stream)
  if (stream?.taken) throw new Fault('stream.taken')
  keepOpen(services, principal, reply)
  if (stream !== undefined) {
    if (!(await stream.resume(reply, place.seq, resumption))) throw historyLost()
    return
  }
  // The stream has ended: what was missed is all there is.
  const missed = await resumption.history.after(session, place.stream, place.seq, services.clock())
  if (missed === undefined) throw historyLost()
  reply.openStream()
  for (const event of missed) if (event.message !== '') reply.event(event.message, live.eventId(event))
  reply.finish()
}

function historyLost(): Fault {
  return new Fault('session.unknown', { reason: 'history-lost' })
}

function keepOpen(services: Services, principal: Principal, reply: Reply): void {
  const open: Running = {
    tenant: principal.tenant,
    tool: undefined,
    credential: principal.credential,
    binding: principal.binding,
    credentialEndsAt: principal.expiresAt,
    deadline: Number.POSITIVE_INFINITY,
    startedAt: services.clock(),
    withdraw: () => reply.finish(),
    bePatient: () => reply.bePatient(),
  }
  services.running.addStream(open, services.streamsPerPrincipalMax)
  reply.onGone(() => services.running.remove(open))
}

/** DELETE: ends the session for good. */
export async function endSession(services: Services, { session, principal }: SessionCall): Promise<void> {
  const ended = await services.sessions?.end(session.id, principal.binding, services.clock())
  if (ended !== true) throw new Fault('session.unknown', { reason: 'session' })
}
