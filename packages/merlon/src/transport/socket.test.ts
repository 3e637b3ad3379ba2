import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { WebSocket } from 'ws'
import type { Fault } from '../errors.ts'
import { Socket } from './socket.ts'

const bounds = {
  messageBytesMax: 1_000,
  bufferBytesMax: 100,
  heartbeatMs: 1_000,
  stallMs: 3_000,
  idleMs: 60_000,
}

/** As much of a WebSocket and its connection as is used, with nothing behind it. */
class FakeSocket extends EventEmitter {
  readonly CLOSED = 3
  readyState = 1
  isPaused = false
  readonly done: string[] = []
  readonly _receiver = { _state: 0, _fragmented: 0, _bufferedBytes: 0 }
  close(code: number, reason: string): void {
    this.done.push(`close ${code} ${reason}`)
  }
  send(message: string): void {
    this.done.push(message)
  }
  ping(): void {
    this.done.push('ping')
  }
  pong(data: Buffer): void {
    this.done.push(`pong ${data}`)
  }
  terminate(): void {
    this.done.push('cut')
  }
  pause(): void {
    this.isPaused = true
  }
  resume(): void {
    this.isPaused = false
  }
}
class FakeConnection extends EventEmitter {
  writableLength = 0
  writableNeedDrain = false
}

let now: number
let fake: FakeSocket
let connection: FakeConnection
let socket: Socket
let taken: string[]
let faults: Fault[]
let busy: boolean
let take: (text: string) => Promise<void> | undefined

beforeEach(() => {
  now = 0
  fake = new FakeSocket()
  connection = new FakeConnection()
  socket = open()
  taken = []
  faults = []
  busy = false
  take = () => undefined
  socket.read({
    message(bytes) {
      taken.push(bytes.toString())
      return take(bytes.toString())
    },
    broken: (fault) => void faults.push(fault),
    get busy() {
      return busy
    },
  })
})

function open(): Socket {
  return new Socket(fake as unknown as WebSocket, connection as unknown as Duplex, bounds, () => now)
}

/** How many are to be told when it closes. */
const listeners = () => (socket as unknown as { readonly closedListeners: ReadonlySet<unknown> }).closedListeners.size
const arrives = (text: string, isBinary = false) => fake.emit('message', Buffer.from(text), isBinary)
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Time passes, and the socket is looked after every second. */
function pass(seconds: number, meanwhile: () => void = () => undefined): void {
  for (let at = 0; at < seconds; at++) {
    now += 1_000
    meanwhile()
    socket.beat()
  }
}

describe('WS-05: who does not read', () => {
  test('is sent no more notifications than there is room for', () => {
    connection.writableLength = 1
    socket.notify('x'.repeat(80))
    socket.notify('y'.repeat(80))
    connection.writableLength = 160
    expect(socket.closed).toBe(false)
    socket.notify('z')
    expect(fake.done.slice(2)).toEqual(['close 1013 too much was not read'])
    expect(socket.code).toBe(1013)
  })

  test('is not closed for an answer that is large, with a notification behind it', () => {
    connection.writableLength = 1_500
    socket.notify('progress')
    socket.send('an answer')
    expect(fake.done).toEqual(['progress', 'an answer'])
  })

  test('is sent no more answers than sixteen times that', () => {
    connection.writableLength = 1_601
    socket.send('an answer')
    expect(fake.done).toEqual(['close 1013 too much was not read'])
  })

  test('is read no further until there is room again', async () => {
    connection.writableLength = 101
    arrives('1')
    await turn()
    arrives('2')
    await turn()
    expect([taken, fake.isPaused]).toEqual([['1'], true])
    connection.writableLength = 0
    connection.emit('drain')
    await turn()
    expect([taken, fake.isPaused]).toEqual([['1', '2'], false])
  })

  test('is waited for as often as it pleases, and nothing is left of that', async () => {
    for (let at = 0; at < 50; at++) {
      connection.writableLength = 101
      arrives(`${at}`)
      await turn()
      expect(fake.isPaused).toBe(true)
      connection.writableLength = 0
      connection.emit('drain')
      await turn()
    }
    expect([taken.length, listeners(), connection.listenerCount('drain')]).toEqual([50, 0, 0])
    connection.writableLength = 101
    arrives('last')
    await turn()
    expect(listeners()).toBe(1)
    fake.emit('close', 1006)
    await turn()
    expect([listeners(), connection.listenerCount('drain')]).toEqual([0, 0])
  })

  test('for too long is closed, and has time until then', () => {
    connection.writableNeedDrain = true
    pass(3)
    connection.writableNeedDrain = false
    pass(1, () => fake.emit('pong'))
    connection.writableNeedDrain = true
    pass(3, () => fake.emit('pong'))
    expect(socket.closed).toBe(false)
    pass(1, () => fake.emit('pong'))
    expect(fake.done.at(-1)).toBe('close 1013 too much was not read')
  })

  test('gets no pongs either', () => {
    fake.emit('ping', 'a')
    connection.writableLength = 101
    fake.emit('ping', 'b')
    expect(fake.done).toEqual(['pong a'])
  })
})

describe('one message after the other', () => {
  test('the next is taken when the one before is, and nothing more is read meanwhile', async () => {
    const first = Promise.withResolvers<void>()
    take = (text) => (text === '1' ? first.promise : undefined)
    for (const text of ['1', '2', '3']) arrives(text)
    expect([taken, fake.isPaused]).toEqual([['1'], true])
    first.resolve()
    await turn()
    expect([taken, fake.isPaused]).toEqual([['1', '2', '3'], false])
  })

  test('what came before it was closed and was not taken is dropped', async () => {
    const first = Promise.withResolvers<void>()
    take = () => first.promise
    for (const text of ['1', '2']) arrives(text)
    socket.close('credential')
    first.resolve()
    arrives('3')
    await turn()
    expect(taken).toEqual(['1'])
    socket.send('late')
    expect(fake.done).toEqual(['close 4401 the credential is not good'])
  })

  test('one that cannot be taken ends the connection', async () => {
    take = () => Promise.reject(new Error('a defect'))
    arrives('1')
    await turn()
    expect(fake.done).toEqual(['cut'])
  })
})

describe('WS-04: a message that is incomplete', () => {
  test.each(['_state', '_fragmented', '_bufferedBytes'] as const)('as %s tells, has ten seconds', (part) => {
    fake._receiver[part] = 1
    pass(10, () => fake.emit('ping', ''))
    expect(socket.closed).toBe(false)
    pass(1)
    expect(faults.map(({ code }) => code)).toEqual(['body.timeout'])
    expect(socket.code).toBe(1008)
  })

  test('has them anew with each message that came whole, and is not ours to wait for while we do not read', async () => {
    fake._receiver._fragmented = 1
    for (let at = 0; at < 4; at++) {
      arrives('whole')
      await turn()
      pass(9, () => fake.emit('pong'))
    }
    take = () => new Promise(() => undefined)
    arrives('long')
    pass(30)
    expect([socket.closed, fake.done.includes('cut')]).toEqual([false, false])
  })

  test('is looked for in this version of the library, and another is not taken', () => {
    Object.assign(fake, { _receiver: {} })
    expect(open).toThrow('does not say whether a message is incomplete')
  })
})

test('WS-05: it is pinged, and cut off where there is no sign of life', () => {
  pass(2, () => fake.emit('pong'))
  expect(fake.done).toEqual(['ping', 'ping'])
  pass(3)
  expect(fake.done).not.toContain('cut')
  pass(1)
  expect(fake.done.at(-1)).toBe('cut')
})

test('WS-05: it is closed where nothing is asked and nothing is answered, and not while something is', () => {
  const alive = () => fake.emit('pong')
  busy = true
  pass(100, alive)
  busy = false
  pass(59, alive)
  expect(socket.closed).toBe(false)
  pass(1, alive)
  expect(fake.done.at(-1)).toBe('close 1000 idle')
})

test('its end is told once, to who asked before and after', () => {
  const told: string[] = []
  socket.onClosed(() => told.push('before'))
  fake.emit('close', 1001)
  fake.emit('close', 1001)
  socket.onClosed(() => told.push('after'))
  expect([told, socket.code]).toEqual([['before', 'after'], 1001])
})

test('it rests for so long, and no longer than it is open, and nothing is left of that', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    for (let at = 0; at < 50; at++) {
      const rest = socket.rest(1_000)
      expect([listeners(), vi.getTimerCount()]).toEqual([1, 1])
      vi.advanceTimersByTime(1_000)
      await rest
    }
    expect([listeners(), vi.getTimerCount()]).toEqual([0, 0])
    const cutShort = socket.rest(1_000)
    socket.close('leaving')
    await cutShort
    await socket.rest(1_000)
    expect([listeners(), vi.getTimerCount()]).toEqual([0, 0])
  } finally {
    vi.useRealTimers()
  }
})

test('its end is not told to who no longer asks', () => {
  const told: string[] = []
  const stop = socket.onClosed(() => told.push('stopped'))
  socket.onClosed(() => told.push('kept'))
  stop()
  stop()
  fake.emit('close', 1001)
  expect(told).toEqual(['kept'])
})
