import type { Rate } from '../guard/limit-calls.ts'
import { KnownHead } from './known-head.ts'
import { type RateHeaderForm, type RateHeaders, rateHeaderNames, rateHeaders } from './rate-headers.ts'

/** Headers of every answer (OWASP ASVS 5.0 V3.4, V14.3.2), as the flat list that `writeHead` takes. */
export interface AnswerHeaders {
  readonly json: readonly string[]
  readonly problem: readonly string[]
  readonly stream: readonly string[]
  readonly none: readonly string[]
  /** What a page of an allowed origin may read beside. */
  readonly exposed: string
  /** Adds what is left of the limit that is nearest its end. */
  readonly rate: RateHeaders
  readonly rateNames: readonly string[]
  /** The head of a JSON answer that has nothing else to say. */
  readonly plain: KnownHead
}

const protocolExposed = ['Mcp-Session-Id', 'WWW-Authenticate', 'Retry-After']

export function answerHeaders(options: {
  readonly tls: boolean
  readonly exposed: readonly string[]
  /** How what is left of a limit is told. Default: as the standard says. */
  readonly rateForms?: readonly RateHeaderForm[]
  /** The hash of a style sheet that a page of ours holds. */
  readonly style?: string | undefined
  /** Whether some answers are compressed, so that a cache asks for which clients. */
  readonly compressed?: boolean
}): AnswerHeaders {
  const { rateForms = ['standard'] } = options
  const all = [
    'X-Content-Type-Options',
    'nosniff',
    'Cache-Control',
    'no-store',
    'Content-Security-Policy',
    `default-src 'none'; frame-ancestors 'none'${options.style === undefined ? '' : `; style-src '${options.style}'; base-uri 'none'; form-action 'none'`}`,
    'Vary',
    options.compressed === true ? 'Origin, Accept-Encoding' : 'Origin',
  ]
  if (options.tls) all.push('Strict-Transport-Security', 'max-age=31536000; includeSubDomains')
  return {
    json: [...all, 'Content-Type', 'application/json; charset=utf-8'],
    problem: [...all, 'Content-Type', 'application/problem+json; charset=utf-8'],
    stream: [...all, 'Content-Type', 'text/event-stream; charset=utf-8', 'X-Accel-Buffering', 'no'],
    none: all,
    exposed: [...new Set([...protocolExposed, ...rateHeaderNames(rateForms), ...options.exposed])].join(', '),
    rate: rateHeaders(rateForms),
    rateNames: rateHeaderNames(rateForms),
    plain: new KnownHead(),
  }
}

/** What lets a page of this origin read the answer. Credentials are never offered: keys and tokens do not travel by cookie. */
export function corsHeaders(origin: string | undefined, headers: AnswerHeaders): readonly string[] {
  if (origin === undefined) return nothing
  return ['Access-Control-Allow-Origin', origin, 'Access-Control-Expose-Headers', headers.exposed]
}

/** Adds what is left to whoever sent the call, where it has been counted. */
export function addRate(head: string[], { rate }: { readonly rate: Rate | undefined }, headers: AnswerHeaders): void {
  if (rate?.limit === undefined) return
  headers.rate(head, rate.limit, rate.remaining, Math.ceil(rate.refillMs / 1_000))
}

const nothing: readonly string[] = Object.freeze([])
