import type { ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import { Fault, type FaultDetail } from '../errors.ts'
import type { Rate } from '../guard/limit-calls.ts'
import { limitOf } from '../limit/limit-store.ts'
import { answerHeaders } from './answer-headers.ts'
import type { HttpCall } from './http-call.ts'
import type { RateHeaderForm } from './rate-headers.ts'
import { refuse } from './refuse.ts'

/** The headers of a refusal, as a client would read them. */
function headersOf(detail: FaultDetail, rate?: Rate, rateForms?: readonly RateHeaderForm[]): Headers {
  const headers = new Headers()
  const response = {
    headersSent: false,
    destroyed: false,
    writeHead(_status: number, flat: readonly string[]) {
      for (let at = 0; at < flat.length; at += 2) headers.append(flat[at]!, flat[at + 1]!)
    },
    end: () => undefined,
  }
  const call = { answered: () => undefined, headers: {}, body: Buffer.alloc(0), rate }
  refuse(response as unknown as ServerResponse, call as unknown as HttpCall, new Fault('rate.exceeded', detail), {
    headers: answerHeaders({ tls: false, exposed: [], ...(rateForms && { rateForms }) }),
    challenge: () => 'Bearer',
  })
  return headers
}

const calls = { name: 'calls', callsMax: 600, windowMs: 60_000 }
const told = (headers: Headers) => [...headers].filter(([name]) => name.includes('ratelimit'))

test('a 429 says which limit was reached and when to come back (RL-05)', () => {
  const headers = headersOf({ retryAfterMs: 1_200, limit: calls })
  expect(headers.get('Retry-After')).toBe('2')
  expect(headers.get('RateLimit-Policy')).toBe('"calls";q=600;w=60')
  expect(headers.get('RateLimit')).toBe('"calls";r=0;t=2')
})

test('RL-05: of what is left, but too little for this call, no time is told that is not true', () => {
  const headers = headersOf({ retryAfterMs: 12_000, limit: calls, remaining: 9 }, undefined, ['standard', 'legacy'])
  expect(headers.get('Retry-After')).toBe('12')
  expect(told(headers)).toEqual([
    ['ratelimit', '"calls";r=9'],
    ['ratelimit-limit', '600'],
    ['ratelimit-policy', '"calls";q=600;w=60'],
    ['ratelimit-remaining', '9'],
  ])
})

test('RL-05: a refusal names no limit whose bucket others share', () => {
  expect(told(headersOf({ retryAfterMs: 1_200 }))).toEqual([])
})

test('RL-05: what was counted and refused after all tells what is left', () => {
  const rate: Rate = { ok: true, limit: limitOf({ ...calls, windowMs: 1_500 }), remaining: 41, refillMs: 1_001 }
  expect(told(headersOf({ retryAfterMs: 1_200 }, rate))).toEqual([
    ['ratelimit', '"calls";r=41;t=2'],
    ['ratelimit-policy', '"calls";q=600;w=2'],
  ])
})

test('the older forms are sent where they are asked for, and a page may read those that are sent', () => {
  const detail = { retryAfterMs: 6_000, limit: calls }
  expect(told(headersOf(detail, undefined, []))).toEqual([])
  expect(told(headersOf(detail, undefined, ['legacy']))).toEqual([
    ['ratelimit-limit', '600'],
    ['ratelimit-remaining', '0'],
    ['ratelimit-reset', '6'],
  ])
  expect(told(headersOf(detail, undefined, ['standard', 'x']))).toEqual([
    ['ratelimit', '"calls";r=0;t=6'],
    ['ratelimit-policy', '"calls";q=600;w=60'],
    ['x-ratelimit-limit', '600'],
    ['x-ratelimit-remaining', '0'],
    ['x-ratelimit-reset', '6'],
  ])
  expect(answerHeaders({ tls: false, exposed: [], rateForms: ['x'] }).exposed).toBe(
    'Mcp-Session-Id, WWW-Authenticate, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset',
  )
})
