import type { Instant } from '../../call.ts'
import type {
  ListedSession,
  Session,
  SessionCaps,
  SessionChange,
  SessionPage,
  SessionReach,
  SessionStore,
  Withdrawals,
} from '../../session/session-store.ts'

interface Kept {
  /** Counts the sessions of this process: sessions are listed in this order. */
  readonly number: number
  readonly session: Session
  usedAt: Instant
}

/** Sessions in the memory of one process: gone when it ends. */
export class MemorySessionStore implements SessionStore {
  private readonly kept = new Map<string, Kept>()
  private readonly perBinding = new Map<string, number>()
  private readonly perTenant = new Map<string, number>()
  private readonly listeners: ((id: string) => void)[] = []
  private readonly idleMs: number
  private opened = 0
  private endedUpTo: number | undefined = undefined

  constructor(idleMs: number) {
    this.idleMs = idleMs
  }

  open(session: Session, caps: SessionCaps, now: Instant): 'opened' | 'full' {
    const full = () =>
      this.kept.size >= caps.total ||
      (this.perTenant.get(session.tenant) ?? 0) >= caps.perTenant ||
      (this.perBinding.get(session.binding) ?? 0) >= caps.perPrincipal
    // Expired sessions hold no place; looking for them only when a cap is reached keeps `open` cheap.
    if (full()) {
      this.sweep(now)
      if (full()) return 'full'
    }
    this.kept.set(session.id, { number: ++this.opened, session, usedAt: now })
    count(this.perBinding, session.binding, 1)
    count(this.perTenant, session.tenant, 1)
    return 'opened'
  }

  find(id: string, binding: string, now: Instant): Session | undefined {
    const session = this.peek(id, binding, now)
    if (session !== undefined) this.kept.get(id)!.usedAt = now
    return session
  }

  peek(id: string, binding: string, now: Instant): Session | undefined {
    const kept = this.kept.get(id)
    return kept === undefined || kept.session.binding !== binding || this.isOver(kept, now) ? undefined : kept.session
  }

  update(id: string, change: SessionChange, now: Instant): void {
    const kept = this.kept.get(id)
    if (kept === undefined || this.isOver(kept, now)) return
    Object.assign(kept.session, typeof change === 'function' ? change(kept.session) : change)
  }

  end(id: string, binding: string, now: Instant): boolean {
    const alive = this.find(id, binding, now) !== undefined
    if (alive) this.drop(id)
    return alive
  }

  endWithdrawn({ credentials, principals, tenants, upTo }: Withdrawals): number {
    this.endedUpTo = Math.max(this.endedUpTo ?? 0, upTo)
    return this.dropAll(
      ({ session }) =>
        tenants.includes(session.tenant) ||
        principals.includes(session.principal) ||
        credentials.some(
          ({ credential, tenant = session.tenant }) => credential === session.credential && tenant === session.tenant,
        ),
    )
  }

  withdrawnUpTo(): number | undefined {
    return this.endedUpTo
  }

  sweep(now: Instant): number {
    return this.dropAll((kept) => this.isOver(kept, now))
  }

  list(
    reach: SessionReach,
    { after, limit, principal, credential }: SessionPage,
    now: Instant,
  ): readonly ListedSession[] {
    const past = after === undefined ? 0 : (numberOf(after) ?? Number.POSITIVE_INFINITY)
    const page: ListedSession[] = []
    // In the order in which they were opened.
    for (const kept of this.kept.values()) {
      if (page.length >= limit) break
      if ((principal ?? kept.session.principal) !== kept.session.principal) continue
      if ((credential ?? kept.session.credential) !== kept.session.credential) continue
      if (kept.number > past && isWithin(reach, kept) && !this.isOver(kept, now)) page.push(listed(kept))
    }
    return page
  }

  findListed(reach: SessionReach, id: string, now: Instant): ListedSession | undefined {
    const kept = this.within(reach, id, now)
    return kept && listed(kept)
  }

  endListed(reach: SessionReach, id: string, now: Instant): boolean {
    const kept = this.within(reach, id, now)
    if (kept !== undefined) this.drop(kept.session.id)
    return kept !== undefined
  }

  count(now: Instant): number {
    let alive = 0
    for (const kept of this.kept.values()) if (!this.isOver(kept, now)) alive++
    return alive
  }

  onOver(listener: (id: string) => void): void {
    this.listeners.push(listener)
  }

  private dropAll(which: (kept: Kept) => boolean): number {
    const ids: string[] = []
    for (const [id, kept] of this.kept) if (which(kept)) ids.push(id)
    for (const id of ids) this.drop(id)
    return ids.length
  }

  private isOver(kept: Kept, now: Instant): boolean {
    return now >= kept.session.expiresAt || now >= kept.usedAt + this.idleMs
  }

  private within(reach: SessionReach, id: string, now: Instant): Kept | undefined {
    const kept = this.numbered(id)
    return kept !== undefined && isWithin(reach, kept) && !this.isOver(kept, now) ? kept : undefined
  }

  private numbered(id: string): Kept | undefined {
    const number = numberOf(id)
    if (number === undefined) return undefined
    for (const kept of this.kept.values()) {
      if (kept.number === number) return kept
      if (kept.number > number) return undefined
    }
    return undefined
  }

  private drop(id: string): void {
    const kept = this.kept.get(id)
    if (kept === undefined) return
    this.kept.delete(id)
    count(this.perBinding, kept.session.binding, -1)
    count(this.perTenant, kept.session.tenant, -1)
    for (const listener of this.listeners) listener(id)
  }
}

const digits = 12

/** As `ses_00000000002s`: equal in length, so that the order of the texts is that of the numbers. */
function listed({ number, session: { id: _held, ...session }, usedAt }: Kept): ListedSession {
  return { id: `ses_${number.toString(36).padStart(digits, '0')}`, session, usedAt }
}

function numberOf(id: string): number | undefined {
  return /^ses_[0-9a-z]{12}$/.test(id) ? Number.parseInt(id.slice(4), 36) : undefined
}

function isWithin(reach: SessionReach, { session }: Kept): boolean {
  return 'everyTenant' in reach || session.tenant === reach.tenant
}

function count(counts: Map<string, number>, key: string, change: number): void {
  const next = (counts.get(key) ?? 0) + change
  if (next <= 0) counts.delete(key)
  else counts.set(key, next)
}
