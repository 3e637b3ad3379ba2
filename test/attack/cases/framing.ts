import { expect } from 'vitest'
import { type AttackCase, each } from '../attack-case.ts'
import type { Answer } from '../connection.ts'
import type { Target } from '../harness.ts'
import { tool } from '../request.ts'

const area = 'Transport: framing'

/** Sends bytes and expects that the server closes; gives back what it answered before. */
async function closing(target: Target, bytes: string | Buffer): Promise<readonly Answer[]> {
  const { answers, connection } = await target.raw(bytes)
  await connection.whenClosed()
  return answers
}

const text = (target: Target, request = tool('write_note', { text: 'smuggled' }, { as: 'A.write' })) =>
  target.bytesOf(request).toString('latin1')

const ambiguous = {
  area,
  requirement: ['TR-04'],
  expect: { status: 400, audit: { type: 'edge', success: false, code: 'INVALID_REQUEST' } },
} as const

export const framingCases: readonly AttackCase[] = [
  {
    ...ambiguous,
    id: 'O-001',
    title: 'a length and chunks in one request are refused, and nothing behind them is a request',
    send: async (target) => {
      const head = text(target)
        .split('\r\n\r\n')[0]!
        .replace(/Content-Length: \d+/, 'Content-Length: 5')
      const answers = await closing(
        target,
        `${head}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${text(target)}GET /health HTTP/1.1\r\nHost: ${target.host}\r\n\r\n`,
      )
      expect(answers).toHaveLength(1)
      return answers
    },
  },
  {
    ...ambiguous,
    id: 'O-002',
    title: 'two lengths are refused',
    send: async (target) => {
      const answers = await closing(target, text(target).replace('\r\n\r\n', '\r\nContent-Length: 3\r\n\r\n'))
      expect(answers).toHaveLength(1)
      return answers
    },
  },
  ...each(
    { ...ambiguous, id: 'O-003', title: 'a head that two parsers could read differently is refused' },
    {
      'folded header': (target) =>
        closing(target, text(target).replace('\r\nAccept:', '\r\nX-Folded: a\r\n b\r\nAccept:')),
      'space before the colon': (target) => closing(target, text(target).replace('Host:', 'Host :')),
      'bare line feeds': (target) => closing(target, text(target).replaceAll('\r\n', '\n')),
      'NUL in a value': (target) => closing(target, text(target).replace('\r\nAccept:', '\r\nX-Nul: a\0b\r\nAccept:')),
      'carriage return in a value': (target) =>
        closing(target, text(target).replace('\r\nAccept:', '\r\nX-Cr: a\rb\r\nAccept:')),
      'an unknown transfer coding': (target) =>
        closing(target, text(target).replace(/Content-Length: \d+/, 'Transfer-Encoding: gzip')),
      'a coding after chunked': (target) =>
        closing(target, text(target).replace(/Content-Length: \d+/, 'Transfer-Encoding: chunked, gzip')),
      'two codings, both chunked': (target) =>
        closing(
          target,
          text(target).replace(/Content-Length: \d+/, 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity'),
        ),
      'a length that is no number': (target) =>
        closing(target, text(target).replace(/Content-Length: \d+/, 'Content-Length: 0x10')),
      'a length with a sign': (target) =>
        closing(target, text(target).replace(/Content-Length: (\d+)/, 'Content-Length: +$1')),
      'a header without a name': (target) => closing(target, text(target).replace('\r\nAccept:', '\r\n: x\r\nAccept:')),
      'no HTTP at all': (target) => closing(target, '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03'),
      'a target without a slash': (target) => closing(target, text(target).replace('POST /mcp', 'POST mcp')),
      'another version': (target) => closing(target, text(target).replace('HTTP/1.1', 'HTTP/9.9')),
    },
  ),
  {
    ...ambiguous,
    id: 'X-001',
    title: 'a chunk whose size is no number is refused',
    send: (target) =>
      closing(
        target,
        `${text(target)
          .replace(/Content-Length: \d+/, 'Transfer-Encoding: chunked')
          .split('\r\n\r\n')[0]!}\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`,
      ),
  },
  {
    id: 'X-002',
    area,
    requirement: ['RL-10', 'TR-04'],
    title: 'a length shorter than the body makes a malformed message and not a second call',
    expect: { status: 400, audit: { type: 'edge', success: false, code: 'INVALID_REQUEST' } },
    send: async (target) => {
      const bytes = text(target).replace(/Content-Length: \d+/, 'Content-Length: 10')
      const answers = await closing(target, bytes)
      expect(answers.length).toBeLessThanOrEqual(1)
      return answers
    },
  },
  {
    id: 'X-003',
    area,
    requirement: ['TR-08'],
    title: 'a credential in a trailer is no credential',
    send: async (target) => {
      const { text: key } = target.key('A.admin')
      const { answers } = await target.raw(
        [
          'POST /mcp HTTP/1.1',
          `Host: ${target.host}`,
          'Content-Type: application/json',
          'Trailer: Authorization',
          'Transfer-Encoding: chunked',
          '',
          '2',
          '{}',
          '0',
          `Authorization: Bearer ${key}`,
          '',
          '',
        ].join('\r\n'),
      )
      return answers
    },
    expect: { status: 401, code: 'MISSING_API_KEY' },
  },
  {
    id: 'X-004',
    area,
    requirement: ['TR-08'],
    title: 'chunk extensions are bounded',
    send: async (target) => {
      const head = text(target)
        .replace(/Content-Length: \d+/, 'Transfer-Encoding: chunked')
        .split('\r\n\r\n')[0]!
      const { answers, connection } = await target.raw(`${head}\r\n\r\n2;${'x'.repeat(40_000)}\r\n{}\r\n0\r\n\r\n`)
      await connection.whenClosed()
      expect(answers.every(({ status }) => status === 400)).toBe(true)
      return undefined
    },
  },
  {
    id: 'O-004',
    area,
    requirement: ['TR-06', 'OH-01', 'CO-01'],
    title: 'two hosts are refused, also where the first is good',
    send: (target) =>
      target.send(
        tool('write_note', { text: 'x' }, { as: 'A.write', headers: { Host: [target.host, 'evil.example'] } }),
      ),
    expect: {
      status: 400,
      code: 'DUPLICATE_HEADER',
      audit: { type: 'edge', success: false, reason: 'duplicate_header' },
    },
  },
  ...each(
    {
      id: 'X-005',
      area,
      requirement: ['TR-06'],
      title: 'a header that decides something, said twice, is refused',
      expect: { status: 400, code: 'DUPLICATE_HEADER', audit: { success: false, reason: 'duplicate_header' } },
    },
    Object.fromEntries(
      [
        ['X-API-Key', 'a', 'b'],
        ['Origin', 'https://app.example', 'https://app.example'],
        ['Mcp-Session-Id', 'a', 'b'],
        ['Last-Event-ID', 'a', 'b'],
        ['MCP-Protocol-Version', '2026-07-28', '2025-11-25'],
        ['Mcp-Method', 'tools/call', 'tools/list'],
        ['Mcp-Name', 'write_note', 'echo'],
        ['Mcp-Param-Region', 'a', 'b'],
        ['Content-Type', 'application/json', 'text/plain'],
        ['Cookie', 'a=1', 'b=2'],
        ['mcp-name', 'echo', 'echo'],
      ].map(([name = '', ...values]) => [
        name,
        (target: Target) =>
          target.send(tool('write_note', { text: 'x' }, { as: 'A.write', headers: { [name]: values } })),
      ]),
    ),
  ),
  {
    id: 'X-006',
    area,
    requirement: ['TR-05', 'RL-09', 'CO-12'],
    title: 'the hundred and first header line is refused, and what stands behind it is not missed',
    send: async (target) => {
      const filler = Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`X-${at}`, 'x']))
      return target.send(
        tool('write_note', { text: 'x' }, { as: 'A.write', headers: { ...filler, Origin: 'https://evil.example' } }),
      )
    },
    expect: { status: 431, code: 'HEADERS_TOO_LARGE', audit: { type: 'edge', success: false } },
  },
  {
    id: 'X-007',
    area,
    requirement: ['TR-05'],
    title: 'an Origin behind two thousand header lines still refuses',
    send: async (target) => {
      const filler = Object.fromEntries(Array.from({ length: 2_000 }, (_, at) => [`a${at}`, 'b']))
      return target.send(
        tool('write_note', { text: 'x' }, { as: 'A.write', headers: { ...filler, Origin: 'https://evil.example' } }),
      )
    },
    expect: { status: 431 },
  },
  {
    id: 'O-088',
    sub: 'header of 17 KiB',
    area,
    requirement: ['RL-09', 'CO-12'],
    title: 'a head beyond its limit is refused and the connection closed',
    send: (target) =>
      closing(
        target,
        target.bytesOf(
          tool('write_note', { text: 'x' }, { as: 'A.write', headers: { 'X-Long': 'x'.repeat(17 * 1_024) } }),
        ),
      ),
    expect: {
      status: 431,
      code: 'HEADERS_TOO_LARGE',
      audit: { type: 'edge', success: false, code: 'HEADERS_TOO_LARGE' },
    },
  },
  {
    id: 'O-088',
    sub: 'target of 5 KiB',
    area,
    requirement: ['RL-09', 'CO-12'],
    title: 'a target beyond its limit is refused',
    send: (target) =>
      target.send({ ...tool('write_note', { text: 'x' }, { as: 'A.write' }), path: `/mcp?${'x'.repeat(5 * 1_024)}` }),
    expect: { status: 414, code: 'URI_TOO_LONG', audit: { type: 'edge', success: false } },
  },
  {
    id: 'X-008',
    area,
    requirement: ['TR-23'],
    title: 'an expectation that nobody knows changes nothing: it is answered by us, behind the same guards',
    send: async (target) => {
      const headers = { Expect: '200-ok' }
      expect((await target.send(tool('write_note', { text: 'x' }, { headers }))).status).toBe(401)
      return await target.send(tool('write_note', { text: 'x' }, { as: 'A.write', headers }))
    },
    expect: { status: 200, notes: 1 },
  },
  {
    id: 'X-009',
    area,
    requirement: ['TR-25'],
    title: 'a client that asks before it sends a body is told to go on only when it may call',
    send: async (target) => {
      const request = tool('write_note', { text: 'x' }, { headers: { Expect: '100-continue' } })
      const connection = await target.connect()
      connection.write(`${target.bytesOf(request).toString('latin1').split('\r\n\r\n')[0]!}\r\n\r\n`, 'POST')
      const answer = await connection.answer()
      expect(answer?.status).toBe(401)
      const heard = Buffer.concat(target.heard.slice(-1).map(({ bytes }) => bytes)).toString('latin1')
      expect(heard).not.toContain('100 Continue')
      return undefined
    },
  },
]
