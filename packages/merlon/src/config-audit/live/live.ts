import { connect as connectTls } from 'node:tls'
import type { Clock } from '../../call.ts'
import type { Finding } from '../rule.ts'
import { sorted } from '../rule.ts'
import { addressOf, type Exchange, exchange, portOf, request, type Target } from './exchange.ts'
import { isAnswer, json, listTools, type Outcome, type Outside, type Probe } from './probe.ts'
import { probes } from './probes.ts'

export interface LiveOptions {
  /** The address of the MCP endpoint. */
  readonly url: URL
  readonly key?: string | undefined
  readonly clock: Clock
  /** How long any one answer may take. */
  readonly timeoutMs?: number
}

export interface LiveResult {
  readonly findings: readonly Finding[]
  /** Every probe that fitted the server, with what was wanted and what came. */
  readonly asked: readonly { readonly probe: Probe; readonly outcome: NonNullable<Outcome> }[]
}

/**
 * Asks a running server from outside, one probe after the other, so that what one does is not laid to another. Nothing that
 * is sent changes anything. `nobody` answers, or there is `no endpoint` at that path: then there is nothing to judge.
 */
export async function probe({
  url,
  key,
  clock,
  timeoutMs = 5_000,
}: LiveOptions): Promise<LiveResult | 'nobody' | 'no endpoint'> {
  const target: Target = { url, timeoutMs, host: url.host }
  const outside = outsideOf(target, key, clock)
  const first = await outside.bare()
  if (first === 'unreachable') return 'nobody'
  if (isAnswer(first) && first.status === 404) return 'no endpoint'
  const asked: { probe: Probe; outcome: NonNullable<Outcome> }[] = []
  for (const each of probes) {
    const outcome = await each.run(outside)
    if (outcome !== undefined) asked.push({ probe: each, outcome })
  }
  const findings = asked
    .filter(({ outcome }) => !outcome.ok)
    .map(({ probe: rule, outcome: { expected, got } }) => ({
      rule,
      where: url.origin + url.pathname,
      says: `expected ${expected}, got ${quoted(got, key)}`,
    }))
  return { findings: sorted(findings), asked }
}

function outsideOf(target: Target, key: string | undefined, clock: Clock): Outside {
  const { url } = target
  const tls = url.protocol === 'https:'
  let bare: Promise<Exchange> | undefined
  const shown = new Map<string, Promise<Exchange>>()
  return {
    url,
    tls,
    key,
    now: clock,
    send: (given) => exchange(target, request(target, given)),
    raw: (bytes) => exchange(target, bytes),
    bare: () => (bare ??= exchange(target, request(target, { headers: json, body: listTools }))),
    shows: (credential) => {
      const headers = [...json, ['Authorization', `Bearer ${credential}`] as const]
      const answer = shown.get(credential) ?? exchange(target, request(target, { headers, body: listTools }))
      shown.set(credential, answer)
      return answer
    },
    plain: (given) => {
      const clear = {
        ...target,
        url: new URL(`http://${url.host}:${portOf(url)}${url.pathname}`.replace(/(:\d+):\d+/, '$1')),
      }
      return exchange(clear, request(target, given))
    },
    speaks: (version) =>
      new Promise((resolve) => {
        const socket = connectTls({
          host: addressOf(url),
          port: portOf(url),
          minVersion: version,
          maxVersion: version,
          rejectUnauthorized: false,
          // The oldest versions are not even offered by our own side unless it is told to.
          ciphers: 'DEFAULT@SECLEVEL=0',
          timeout: target.timeoutMs,
        })
        const finish = (taken: boolean): void => {
          socket.destroy()
          resolve(taken)
        }
        socket.once('secureConnect', () => finish(true))
        socket.once('error', () => finish(false))
        socket.once('timeout', () => finish(false))
        socket.once('close', () => resolve(false))
      }),
    certificateProblem: () =>
      new Promise((resolve) => {
        const host = addressOf(url)
        const socket = connectTls({
          host,
          port: portOf(url),
          servername: /^[\d.]+$|:/.test(host) ? '' : host,
          timeout: target.timeoutMs,
        })
        const finish = (problem: string | undefined): void => {
          socket.destroy()
          resolve(problem)
        }
        socket.once('secureConnect', () => finish(undefined))
        socket.once('error', (error: NodeJS.ErrnoException) => finish(error.code ?? 'refused'))
        socket.once('timeout', () => finish('nothing in time'))
      }),
  }
}

/** What came, as one short line that can be printed anywhere: what a server sends is not ours. */
function quoted(got: string, key: string | undefined): string {
  const hidden = key === undefined ? got : got.replaceAll(key, '…')
  return hidden.replaceAll(/[^\x20-\x7e…]/g, '?').slice(0, 200)
}
