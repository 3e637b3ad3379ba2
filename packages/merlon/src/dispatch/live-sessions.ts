import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import type { Principal } from '../call.ts'
import { Fault } from '../errors.ts'
import type { Session } from '../session/session-store.ts'
import { LiveSession } from './live-session.ts'
import type { Resumption } from './resumption.ts'

/** The sessions that this process holds something for. An idle one costs nothing here. */
export class LiveSessions {
  private readonly live = new Map<string, LiveSession>()
  private readonly resumption: Resumption | undefined
  private readonly questionKey: KeyObject
  /** The sessions by what letters call them. Made when the first letter comes. */
  private names: WeakMap<LiveSession, string> | undefined
  /** Sessions of one connection: they end with it, and nobody comes back for what it did not carry. */
  private readonly bound = new Set<string>()

  /** `questionKey` is that of all replicas; by default a process has its own. */
  constructor(resumption: Resumption | undefined, questionKey = createSecretKey(randomBytes(32))) {
    this.resumption = resumption
    this.questionKey = questionKey
    // What this process wrote under its former name, others may have closed for it.
    resumption?.replicas.onCut(() => {
      for (const live of [...this.live.values()]) {
        if (this.bound.has(live.id)) continue
        live.cut()
        this.release(live)
      }
    })
  }

  of(session: Session, principal: Principal): LiveSession {
    let live = this.live.get(session.id)
    if (live === undefined) {
      const resumption = this.bound.has(session.id) ? undefined : this.resumption
      live = new LiveSession(session, principal, resumption, this.questionKey)
      this.live.set(session.id, live)
    } else {
      live.session = session
      live.principal = principal
    }
    return live
  }

  /** Notes that a session lives on one connection alone, before anything is held for it. */
  bindToConnection(id: string): void {
    this.bound.add(id)
  }

  find(id: string): LiveSession | undefined {
    return this.live.get(id)
  }

  /** Finds a session by the name that `nameOf` gives its id. */
  findNamed(name: string, nameOf: (id: string) => string): LiveSession | undefined {
    this.names ??= new WeakMap()
    for (const live of this.live.values()) {
      let own = this.names.get(live)
      if (own === undefined) {
        own = nameOf(live.id)
        this.names.set(live, own)
      }
      if (own === name) return live
    }
    return undefined
  }

  all(): Iterable<LiveSession> {
    return this.live.values()
  }

  /** Resolves when all that was sent on streams is kept or refused, or after so long. */
  async settled(withinMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((done) => {
      timer = setTimeout(done, withinMs)
    })
    const kept = Promise.all([...this.live.values()].map((live) => live.settled()))
    await Promise.race([kept, late])
    clearTimeout(timer)
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
    if (!this.bound.delete(id)) void this.forget(id)
  }

  private async forget(id: string): Promise<void> {
    try {
      await this.resumption?.history.drop(id)
    } catch {
      // Nobody can name these events any more, and a sweep drops them when they are old.
    }
  }
}
