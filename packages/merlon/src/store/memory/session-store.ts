import type { Instant } from '../../call.ts'
import type { Session, SessionCaps, SessionStore } from '../../session/session-store.ts'

interface Kept {
  readonly session: Session
  usedAt: Instant
}

/** Sessions in the memory of one process: gone when it ends. */
export class MemorySessionStore implements SessionStore {
  private readonly kept = new Map<string, Kept>()
  private readonly perBinding = new Map<string, number>()
  private readonly perTenant = new Map<string, number>()
  private readonly expired: string[] = []
  private readonly idleMs: number

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
      this.expire(now)
      if (full()) return 'full'
    }
    this.kept.set(session.id, { session, usedAt: now })
    count(this.perBinding, session.binding, 1)
    count(this.perTenant, session.tenant, 1)
    return 'opened'
  }

  find(id: string, binding: string, now: Instant): Session | undefined {
    const kept = this.kept.get(id)
    if (kept === undefined || kept.session.binding !== binding) return undefined
    if (this.isOver(kept, now)) return undefined
    kept.usedAt = now
    return kept.session
  }

  update(id: string, change: Partial<Pick<Session, 'logLevel' | 'subscriptions'>>, now: Instant): void {
    const kept = this.kept.get(id)
    if (kept !== undefined && !this.isOver(kept, now)) Object.assign(kept.session, change)
  }

  end(id: string, binding: string, now: Instant): boolean {
    const alive = this.find(id, binding, now) !== undefined
    if (alive) this.drop(id)
    return alive
  }

  endBound(binding: string): readonly string[] {
    const ids: string[] = []
    for (const [id, { session }] of this.kept) if (session.binding === binding) ids.push(id)
    for (const id of ids) this.drop(id)
    return ids
  }

  sweep(now: Instant): readonly string[] {
    this.expire(now)
    return this.expired.splice(0)
  }

  count(now: Instant): number {
    let alive = 0
    for (const kept of this.kept.values()) if (!this.isOver(kept, now)) alive++
    return alive
  }

  /** Drops what has expired, and keeps the ids for the next sweep to tell. */
  private expire(now: Instant): void {
    for (const [id, kept] of this.kept) {
      if (!this.isOver(kept, now)) continue
      this.drop(id)
      this.expired.push(id)
    }
  }

  private isOver(kept: Kept, now: Instant): boolean {
    return now >= kept.session.expiresAt || now >= kept.usedAt + this.idleMs
  }

  private drop(id: string): void {
    const kept = this.kept.get(id)
    if (kept === undefined) return
    this.kept.delete(id)
    count(this.perBinding, kept.session.binding, -1)
    count(this.perTenant, kept.session.tenant, -1)
  }
}

function count(counts: Map<string, number>, key: string, change: number): void {
  const next = (counts.get(key) ?? 0) + change
  if (next <= 0) counts.delete(key)
  else counts.set(key, next)
}
