import type { AuditEntry } from '../audit/audit-log.ts'
import type { Principal } from '../call.ts'

/** The record of what a client did beside its calls: opened a stream, fetched what it missed, ended its session, asked for a ticket. */
export function sessionEntry(
  action: 'stream' | 'resume' | 'end' | 'ticket',
  call: { readonly principal: Principal; readonly requestId: string; readonly address: string },
): AuditEntry {
  const { principal, requestId, address } = call
  return {
    type: 'session',
    success: true,
    level: 'info',
    requestId,
    ip: address,
    clientId: principal.credential,
    principal: principal.id,
    tenant: principal.tenant,
    action,
  }
}

/** The record of sessions that nobody ended and whose time was over. They are named nowhere, so that they are counted. */
export function expiryEntry(sessions: number): AuditEntry {
  return { type: 'session', success: true, level: 'info', action: 'expire', outcome: String(sessions) }
}

/** The record of sessions that ended because whoever opened them may call no more. */
export function withdrawnEntry(sessions: number): AuditEntry {
  return { type: 'session', success: true, level: 'info', action: 'withdraw', outcome: String(sessions) }
}
