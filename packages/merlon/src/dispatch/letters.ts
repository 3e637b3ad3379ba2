import type { Received, SessionNews } from '../replica/mailbox.ts'
import { isRequestId } from '../wire/json-rpc.ts'
import type { LiveSession } from './live-session.ts'
import type { Admitted } from './ready.ts'
import type { Services } from './services.ts'
import { tellSessions } from './session-changes.ts'

/**
 * Takes what a client tells of its session: an answer to a question, or that it takes a request back. Answers what the other
 * replicas have to hear, where it was not meant for this one.
 */
export function take(
  live: LiveSession,
  message: Exclude<Admitted['message'], { kind: 'request' }>,
): SessionNews | undefined {
  if (message.kind === 'response') {
    const { id, result, error } = message
    if (live.answer(message) || !live.mayHaveAsked(id)) return undefined
    if (result !== undefined) return { kind: 'answer', id, result }
    return {
      kind: 'answer',
      id,
      error: { code: error?.code ?? 0, message: String(error?.message ?? '').slice(0, 200) },
    }
  }
  if (message.method !== 'notifications/cancelled') return undefined
  const request = message.params['requestId']
  if (!isRequestId(request) || live.cancel(request)) return undefined
  return { kind: 'cancel', request }
}

/** Takes what another replica was told that was meant for this one; of what was not, nothing happens. */
export async function receive(services: Services, letter: Received): Promise<void> {
  const { live: sessions, mail, changes } = services
  if (letter.session === undefined) {
    const { revision, news } = letter
    changes.announce(news.change, 'everywhere')
    await tellSessions(services, { revision, change: news.change })
    return
  }
  const { session, binding, news } = letter
  const live = mail && sessions.findNamed(session, (id) => mail.nameOf(id))
  if (live === undefined || live.session.binding !== binding) return
  if (news.kind === 'answer') live.answer(news)
  else live.cancel(news.request)
  sessions.release(live)
}
