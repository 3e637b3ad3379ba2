import type { ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import { Fault, type FaultDetail } from '../errors.ts'
import { answerHeaders } from './answer-headers.ts'
import type { HttpCall } from './http-call.ts'
import { refuse } from './refuse.ts'

/** The headers of a refusal, as a client would read them. */
function headersOf(detail: FaultDetail): Headers {
  const headers = new Headers()
  const response = {
    headersSent: false,
    destroyed: false,
    writeHead(_status: number, flat: readonly string[]) {
      for (let at = 0; at < flat.length; at += 2) headers.append(flat[at]!, flat[at + 1]!)
    },
    end: () => undefined,
  }
  const call = { answered: () => undefined, headers: {}, body: Buffer.alloc(0) }
  refuse(response as unknown as ServerResponse, call as unknown as HttpCall, new Fault('rate.exceeded', detail), {
    headers: answerHeaders({ tls: false, exposed: [] }),
    challenge: () => 'Bearer',
  })
  return headers
}

test('a 429 says which limit was reached and when to come back (RL-05)', () => {
  const headers = headersOf({ retryAfterMs: 1_200, limit: { name: 'calls', callsMax: 600, windowMs: 60_000 } })
  expect(headers.get('Retry-After')).toBe('2')
  expect(headers.get('RateLimit-Policy')).toBe('"calls";q=600;w=60')
  expect(headers.get('RateLimit')).toBe('"calls";r=0;t=2')
})

test('a refusal that no limit was behind names none', () => {
  expect(headersOf({ retryAfterMs: 1_200 }).has('RateLimit-Policy')).toBe(false)
})
