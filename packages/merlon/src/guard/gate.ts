import type { IncomingHttpHeaders } from 'node:http'
import type { AuditLog } from '../audit/audit-log.ts'
import type { Awaitable, Clock, Message, Principal } from '../call.ts'
import type { Scheme, Shown, Verdict } from '../identity/verdict.ts'
import type { Limiter } from '../limit/limiter.ts'
import type { Method } from '../method.ts'
import type { SessionStore } from '../session/session-store.ts'
import type { JsonBounds } from '../wire/json.ts'
import type { Revision } from '../wire/revision.ts'
import type { ProxyRanges } from './proxy-ranges.ts'

/** What a request shows before any of it is believed. */
export interface Head {
  readonly verb: string
  /** The request target as sent. */
  readonly url: string
  /** The target up to `?`: matched exactly, never normalised. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly peerAddress: string
  /** The SHA-256 thumbprint of the certificate that the client has shown over TLS, in base64url (RFC 8705 §3.1). */
  readonly certificateThumbprint?: string | undefined
  /** Reads the body, once, up to `bytesMax`. */
  readBody(bytesMax: number): Promise<Buffer>
}

/** What guards decide with: made once at start, the same for every call. */
export interface Gate {
  readonly clock: Clock
  /** Whole milliseconds that no setting of the clock moves: limits are counted with it. */
  readonly steadyClock: Clock
  readonly nextRequestId: () => string
  /** Undefined only where the check is off by a setting named dangerously…. */
  readonly hosts: ReadonlySet<string> | undefined
  readonly origins: ReadonlySet<string> | undefined
  readonly proxies: ProxyRanges
  readonly verify: (credential: string, call: Shown, scheme: Scheme) => Awaitable<Verdict>
  readonly limiter: Limiter
  readonly audit: AuditLog
  /** Why no new call is taken now, if so. */
  readonly refusing: () => 'server.draining' | 'capacity.exceeded' | undefined
  readonly messageBytesMax: number
  readonly bounds: JsonBounds
  readonly stateless: Revision
  readonly stateful: ReadonlyMap<string, Revision>
  readonly sessions: SessionStore | undefined
  /** Lower-case. */
  readonly sessionHeader: string
  readonly methods: { readonly stateless: ReadonlyMap<string, Method>; readonly stateful: ReadonlyMap<string, Method> }
}

/** What every chain begins with. */
export interface Arrival {
  readonly head: Head
  readonly gate: Gate
}

export type Authenticated = { readonly principal: Principal }
export type Decoded = { readonly message: Message }
