import type { IncomingHttpHeaders } from 'node:http'
import type { Principal } from '../call.ts'
import { Limiter } from '../limit/limiter.ts'
import type { RuleSettings } from '../limit/rules.ts'
import { ruleOf } from '../limit/rules.ts'
import { scopeSet } from '../policy/scopes.ts'
import { MemoryLimitStore } from '../store/memory/limit-store.ts'
import { statefulRevision, statefulVersions } from '../wire/revision-2025-11-25.ts'
import { statelessRevision } from '../wire/revision-2026-07-28.ts'
import type { Arrival, Gate } from './gate.ts'
import { ProxyRanges } from './proxy-ranges.ts'

/** When it is in tests of guards. */
export const now = 1_800_000_000_000

export function principalWith(granted: readonly string[], effective = granted): Principal {
  return Object.freeze({
    id: 'u1',
    kind: 'user',
    tenant: 't1',
    credential: 'key_1',
    role: 'user',
    granted: scopeSet(granted),
    effective: scopeSet(effective),
    expiresAt: now + 1_000_000,
    binding: 't1 user u1 key_1',
  })
}

/** Counts by these rules, and ten failures of an address in a minute unless told otherwise. */
export function limiterWith(rules: readonly Partial<RuleSettings>[] = [], failuresMax = 10): Limiter {
  const usual = {
    name: 'calls',
    per: ['key'],
    windowMs: 60_000,
    callsMax: 1,
    count: 'all',
    onStoreFailure: 'deny',
  } as const
  return new Limiter({
    store: new MemoryLimitStore(),
    rules: rules.map((rule) => ruleOf({ ...usual, ...rule })),
    failuresMax,
  })
}

/** A gate that lets `good` in and knows no methods and no sessions, unless told otherwise. */
export function gateWith(change: Partial<Gate> = {}): Gate {
  let requests = 0
  return {
    clock: () => now,
    steadyClock: () => now,
    nextRequestId: () => `r${++requests}`,
    hosts: new Set(['localhost:4000', '127.0.0.1:4000', '[::1]:4000']),
    origins: new Set(['https://app.example']),
    proxies: new ProxyRanges([]),
    verify: (credential) =>
      credential === 'good'
        ? { ok: true, principal: principalWith(['read', 'write']) }
        : { ok: false, reason: 'unknown', credential: undefined },
    limiter: limiterWith(),
    audit: { append() {}, appendLine() {}, commit: async () => {}, check() {}, close: async () => {} },
    refusing: () => undefined,
    messageBytesMax: 1_000,
    bounds: { depthMax: 64, nodesMax: 10_000 },
    stateless: statelessRevision({ name: 's', version: '1' }),
    stateful: new Map(statefulVersions.map((version) => [version as string, statefulRevision(version)])),
    sessions: undefined,
    sessionHeader: 'mcp-session-id',
    methods: { stateless: new Map(), stateful: new Map() },
    ...change,
  }
}

export interface Sent {
  readonly verb?: string
  readonly url?: string
  readonly peerAddress?: string
  readonly headers?: IncomingHttpHeaders
  /** Where it differs from `headers`: name, value, name, value. */
  readonly rawHeaders?: readonly string[]
  readonly body?: string
}

/** A request as it arrives, and how often its body was read. */
export function arrivalOf(sent: Sent, gate: Gate = gateWith()): Arrival & { bodyReads(): number } {
  const { verb = 'POST', url = '/mcp', peerAddress = '192.0.2.1', headers = {}, body = '' } = sent
  let reads = 0
  const rawHeaders = sent.rawHeaders ?? Object.entries(headers).flatMap(([name, value]) => [name, String(value)])
  return {
    gate,
    bodyReads: () => reads,
    head: {
      verb,
      url,
      path: url.split('?')[0]!,
      headers,
      rawHeaders,
      peerAddress,
      async readBody() {
        reads++
        return Buffer.from(body)
      },
    },
  }
}
