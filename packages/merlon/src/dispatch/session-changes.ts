import type { SharedChange } from '../replica/mailbox.ts'
import { type LiveSession, standaloneStream } from './live-session.ts'
import { announcement, mayRead } from './methods/subscriptions.ts'
import type { Resumption } from './resumption.ts'
import type { Post, Services } from './services.ts'

/** How many sessions are told at once: each is an act of the store. */
const atOnce = 4

/** A change and its number among all changes. */
interface Numbered {
  readonly revision: number
  readonly change: SharedChange
}

/**
 * Tells those sessions of a change whose own stream was last opened here. Their clients may read elsewhere by now, and another
 * replica tell them of the same change: it is told once, in the order of changes.
 */
export async function tellSessions(services: Services, numbered: Numbered): Promise<void> {
  const telling = [...services.live.all()].filter(({ tells }) => tells).values()
  const tellNext = async () => {
    for (const live of telling) await tell(services, live, numbered)
  }
  await Promise.all(Array.from({ length: atOnce }, tellNext))
}

/**
 * Begins to tell a session of changes, after `told`: what other replicas have read already and nobody told it comes first, so
 * that none is missed where the one that told it is gone.
 */
export function beginTelling(services: Services, mail: Post, live: LiveSession, told: number): Promise<void> {
  return mail.catchUp(
    told,
    async ({ revision, session, news }) => {
      if (session === undefined) await tellOne(services, live, { revision, change: news.change })
    },
    () => {
      live.tells = true
    },
  )
}

async function tell(services: Services, live: LiveSession, numbered: Numbered): Promise<void> {
  try {
    if ((await tellOne(services, live, numbered)) !== 'before') return
    // Another replica tells it now, unless it is read here.
    if (live.isRead(standaloneStream)) return
    live.tells = false
    services.live.release(live)
  } catch (cause) {
    // The store is out of reach. The client comes back, and is told then.
    services.log.error({ err: cause }, 'a session could not be told of a change')
    live.tells = false
    live.stopReading(standaloneStream)
  }
}

/** `before`: it was told already, of this or a later change. */
async function tellOne(
  services: Services,
  live: LiveSession,
  { revision, change }: Numbered,
): Promise<'told' | 'before' | 'no concern'> {
  const { clock, sessions } = services
  const resumption = live.canResume as Resumption
  if (change.kind === 'resource') {
    // What the client subscribed to may have been told to another replica, and rights may have changed since.
    const session = await sessions?.peek(live.id, live.session.binding, clock())
    const concerned = session?.subscriptions?.has(change.uri) === true
    if (!concerned || !mayRead(services, live.hearer, change.uri)) return 'no concern'
  }
  const told = await resumption.history.tell(live.session, announcement(change, undefined), revision, clock())
  if (told) resumption.wakes.wake(live.id, standaloneStream)
  return told ? 'told' : 'before'
}
