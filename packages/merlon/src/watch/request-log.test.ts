import { expect, test } from 'vitest'
import { type RequestLine, RequestLog } from './request-log.ts'

const line: RequestLine = {
  requestId: 'r1',
  verb: 'POST',
  route: '/mcp',
  status: 200,
  method: 'tools/call',
  target: 'echo',
  code: undefined,
  durationMs: 1,
  bytes: 2,
  address: '192.0.2.1',
  credential: 'key_a',
  traceId: undefined,
}

function logged() {
  const state = { now: 5 }
  const lines: string[] = []
  const keep = (level: string) => (fields: object, message: string) =>
    void lines.push(`${level} ${message} ${'count' in fields ? fields.count : ''}`.trim())
  return { state, lines, log: new RequestLog({ info: keep('info'), warn: keep('warn') }, () => state.now) }
}

test('a request that failed is a warning, whatever its status; any other is not', () => {
  const { lines, log } = logged()
  log.write(line, false)
  log.write({ ...line, status: 404 }, false)
  log.write({ ...line, code: 'TOOL_TIMEOUT' }, false)
  expect(lines).toEqual(['info request', 'warn request', 'warn request'])
})

test('AL-07: beyond a thousand in a minute strangers are counted, and those who are known are not held back', () => {
  const { state, lines, log } = logged()
  for (let at = 0; at < 1_500; at++) log.write({ ...line, status: 401 }, true)
  expect(lines).toHaveLength(1_000)
  log.write({ ...line, status: 403 }, false)
  expect(lines).toHaveLength(1_001)
  state.now += 59_999
  log.write({ ...line, status: 401 }, true)
  expect(lines).toHaveLength(1_001)
  state.now += 1
  log.write({ ...line, status: 401 }, true)
  expect(lines.slice(1_001)).toEqual(['warn requests of strangers that were not written 501', 'warn request'])
})
