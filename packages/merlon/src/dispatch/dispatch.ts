import type { Awaitable, Reply } from '../call.ts'
import { Fault, faultOf } from '../errors.ts'
import type { Outcome } from '../watch/metrics.ts'
import type { Handlers } from './handlers.ts'
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
  services.changes.listen((change) => {
    for (const live of services.live.all()) {
      // Rights may have changed since the client subscribed.
      const concerned =
        change.kind === 'resource'
          ? live.session.subscriptions?.has(change.uri) === true && mayRead(services, live.principal, change.uri)
          : change.seenBy?.(live.principal) !== false
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
    return new SessionLine(reply, mode, revision, call.requestId, live, services.live)
  }

  return (call, reply) => {
    const { message, session, principal } = call
    if (message.kind === 'request') return answer(call as Ready, reply)
    const live = session === undefined ? undefined : services.live.of(session, principal)
    if (live !== undefined) {
      if (message.kind === 'response') live.answer(message)
      else if (message.method === 'notifications/cancelled') live.cancel(message.params['requestId'])
      services.live.release(live)
    }
    record(call, undefined, 'accepted')
    reply.finish()
  }
}
