import type { Awaitable, Reply } from '../call.ts'
import { Fault, faultOf } from '../errors.ts'
import type { Outcome } from '../watch/metrics.ts'
import type { Handlers } from './handlers.ts'
import { receive, take } from './letters.ts'
import { DirectLine, type Line } from './line.ts'
import { announcement, mayRead } from './methods/subscriptions.ts'
import type { Admitted, Ready } from './ready.ts'
import type { Services } from './services.ts'
import { SessionLine } from './session-line.ts'
import { Turn } from './turn.ts'

/** Told once for each message that was answered or taken: with the fault it ended with, if any. */
export type Recorder = (call: Admitted, fault: Fault | undefined, outcome: Outcome) => void

/** Answers a message that passed every guard. */
export type Dispatch = (call: Admitted, reply: Reply) => Awaitable<void>

export function createDispatch(services: Services, handlers: Handlers, record: Recorder): Dispatch {
  services.sessions?.onOver((id) => services.live.end(id))
  services.mail?.onLetter((letter) => receive(services, letter))
  // What they were not told of they find when they ask again.
  services.mail?.onLost(() => services.running.renewAll(() => true))
  services.changes.listen((change, where) => {
    for (const live of services.live.all()) {
      // Its stream may be read anywhere, so that it is told of by one for all.
      if (where === 'everywhere' && live.canResume !== undefined) continue
      // Rights may have changed since the client subscribed.
      const concerned =
        change.kind === 'resource'
          ? live.session.subscriptions?.has(change.uri) === true && mayRead(services, live.hearer, change.uri)
          : change.seenBy?.(live.hearer) !== false
      if (concerned) live.standalone?.send(announcement(change, undefined))
    }
  })

  const over = (turn: Turn, fault: Fault | undefined, outcome: Outcome) => {
    services.running.remove(turn)
    const { session, message } = turn.call
    if (session !== undefined) {
      const live = services.live.find(session.id)
      live?.finish(message.id)
      if (live !== undefined) services.live.release(live)
    }
    if (fault?.code === 'internal') {
      const { requestId, envelope } = turn.call
      const failure = services.describeFailure(fault.cause)
      services.log.error(
        { requestId, traceId: envelope.trace?.traceId, method: message.method, failure },
        'a call failed',
      )
    }
    if (fault !== undefined) turn.call.fault = fault
    record(turn.call, fault, outcome)
  }

  const answer = (call: Ready, reply: Reply): Awaitable<void> => {
    const { envelope, message, session, principal } = call
    const handler = (envelope.revision.stateful ? handlers.stateful : handlers.stateless).get(message.method)
    if (handler === undefined) throw new Fault('method.unknown')
    if (session !== undefined && services.live.find(session.id)?.isAnswering(message.id))
      throw new Fault('id.in-flight')
    const turn = new Turn(services, call, lineFor(call, reply), over)
    services.running.checkRoom(turn, services.callCaps)
    let result: Awaitable<string | undefined>
    try {
      result = handler.run(turn)
    } catch (thrown) {
      turn.fail(faultOf(thrown))
      return
    }
    if (typeof result === 'string') {
      turn.complete(result)
      return
    }
    if (turn.done) return
    // From here on it takes time: others may cancel it, and it holds its id.
    if (session !== undefined) services.live.of(session, principal).begin(message.id, turn)
    services.running.add(turn)
    turn.line.onGone(() => turn.cancel(new Fault('call.cancelled', { reason: 'left' })))
    if (result === undefined) return
    return result.then(
      (later) => {
        if (later !== undefined) turn.complete(later)
      },
      (thrown) => turn.fail(faultOf(thrown)),
    )
  }

  const lineFor = (call: Ready, reply: Reply): Line => {
    const { session, principal } = call
    const { revision } = call.envelope
    // A subscription is a stream by its nature, whatever form other answers are given.
    const mode = call.message.method === 'subscriptions/listen' ? 'stream' : services.responseMode
    if (session === undefined) return new DirectLine(reply, mode, revision, call.requestId)
    const live = () => services.live.of(session, principal)
    return new SessionLine(reply, mode, call, live, services.live)
  }

  return (call, reply) => {
    const { message, session, principal } = call
    if (message.kind === 'request') return answer(call as Ready, reply)
    const told = () => {
      record(call, undefined, 'accepted')
      reply.finish()
    }
    if (session === undefined) return told()
    const live = services.live.of(session, principal)
    const news = take(live, message)
    services.live.release(live)
    // Answered when all will read it, so that nothing that was acknowledged is lost.
    if (news !== undefined && services.mail !== undefined) return services.mail.send({ session, news }).then(told)
    return told()
  }
}
