import type { Principal } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Session } from '../session/session-store.ts'
import { LiveSession } from './live-session.ts'
import type { Resumption } from './session-stream.ts'

/** The sessions that this process holds something for. An idle one costs nothing here. */
export class LiveSessions {
  private readonly live = new Map<string, LiveSession>()
  private readonly resumption: Resumption | undefined

  constructor(resumption: Resumption | undefined) {
    this.resumption = resumption
  }

  of(session: Session, principal: Principal): LiveSession {
    let live = this.live.get(session.id)
    if (live === undefined) {
      live = new LiveSession(session, principal, this.resumption)
      this.live.set(session.id, live)
    } else {
      live.session = session
      live.principal = principal
    }
    return live
  }

  find(id: string): LiveSession | undefined {
    return this.live.get(id)
  }

  all(): Iterable<LiveSession> {
    return this.live.values()
  }

  /** Lets go of what holds nothing any more. */
  release(live: LiveSession): void {
    if (live.isIdle && this.live.get(live.id) === live) this.live.delete(live.id)
  }

  /** Ends what is held for a session that is over, history included. */
  end(id: string): void {
    const live = this.live.get(id)
    this.live.delete(id)
    live?.end(new Fault('session.unknown', { reason: 'ended' }))
    void this.forget(id)
  }

  private async forget(id: string): Promise<void> {
    try {
      await this.resumption?.history.drop(id)
    } catch {
      // Nobody can name these events any more, and a sweep drops them when they are old.
    }
  }
}
