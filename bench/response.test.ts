import { expect, test } from 'vitest'
import { header, ResponseReader } from './response.ts'

interface Seen {
  status: number
  body: string
}

/** Reads `wire` in pieces of `size` bytes, through one buffer that is reused as a socket's is. */
function read(wire: string, size: number): Seen[] {
  const seen: Seen[] = []
  const reader = new ResponseReader(({ status, body }) => seen.push({ status, body: body.toString('utf8') }))
  const bytes = Buffer.from(wire)
  const reused = Buffer.alloc(size)
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size)
    piece.copy(reused)
    reader.push(reused.subarray(0, piece.length))
  }
  return seen
}

const counted = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"text":"né"}'.replace(
  '13',
  '14',
)
const chunked =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n' +
  '7\r\ndata: a\r\n2\r\n\n\n\r\nA\r\ndata: \r\nb\n\r\n0\r\n\r\n'
const empty = 'HTTP/1.1 202 Accepted\r\nDate: now\r\n\r\n'
const none = 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n'

const expected: Seen[] = [
  { status: 200, body: '{"text":"né"}' },
  { status: 200, body: 'data: a\n\ndata: \r\nb\n' },
  { status: 202, body: '' },
  { status: 401, body: '' },
  { status: 200, body: '{"text":"né"}' },
]

test('responses read the same wherever the bytes are cut', () => {
  const wire = counted + chunked + empty + none + counted
  for (let size = 1; size <= Buffer.byteLength(wire); size++) expect(read(wire, size)).toEqual(expected)
})

test('the head is told as soon as it is there, for a stream that does not end', () => {
  const heads: string[] = []
  const reader = new ResponseReader(
    () => expect.unreachable(),
    (status, head) => heads.push(`${status} ${header(head, 'mcp-session-id')}`),
  )
  reader.push(
    Buffer.from('HTTP/1.1 200 OK\r\nMcp-Session-Id: aB9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n: hi\n\r\n'),
  )
  expect(heads).toEqual(['200 aB9'])
})

test('a header is found by its whole name, in any case, and its value is as it came', () => {
  const head = 'HTTP/1.1 200 OK\r\nX-Length: 1\r\nLENGTH:  Two \r\nlength-of: 3'
  expect(header(head, 'length')).toBe('Two')
  expect(header(head, 'length-of')).toBe('3')
  expect(header(head, 'gth')).toBeUndefined()
})

test.each([
  ['no status line', 'ICY 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['no length', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n'],
  ['a length that is no number', 'HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n'],
  ['a chunk without a size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
  ['trailers', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n'],
])('what cannot be read is refused and not guessed: %s', (_, wire) => {
  expect(() => read(wire, wire.length)).toThrow()
})
