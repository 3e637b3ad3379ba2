import { PassThrough, Writable } from 'node:stream'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ChannelReply } from './channel.ts'
import { Pipe } from './stdio.ts'

/** What a reader has taken. One that is stopped takes nothing. */
class Reader extends Writable {
  text = ''
  stopped = false
  private waiting: (() => void) | undefined

  constructor() {
    super({ highWaterMark: 16, decodeStrings: false })
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.text += chunk
    if (this.stopped) this.waiting = done
    else done()
  }

  go(): void {
    this.stopped = false
    this.waiting?.()
  }
}

function pipeOf({ lineBytesMax = 8, bufferBytesMax = 64 } = {}) {
  const input = new PassThrough()
  const output = new Reader()
  return { input, output, pipe: new Pipe({ input, output, lineBytesMax, bufferBytesMax }) }
}

async function linesOf(chunks: readonly Buffer[], lineBytesMax: number): Promise<string[]> {
  const { input, pipe } = pipeOf({ lineBytesMax })
  const taken: string[] = []
  const read = pipe.read({
    line: (bytes) => void taken.push(bytes.toString('latin1')),
    overlong: () => void taken.push('too long'),
  })
  for (const chunk of chunks) input.write(chunk)
  input.end()
  await read
  return taken
}

/** What a reader of whole text would say. */
function expected(text: string, lineBytesMax: number): string[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => (line.length > lineBytesMax ? 'too long' : line))
}

describe('lines of a pipe', () => {
  test('a reader who is waited for again and again leaves nothing behind', async () => {
    const { input, output, pipe } = pipeOf()
    let taken = 0
    const read = pipe.read({
      line: () => {
        taken++
        pipe.send('x'.repeat(32))
      },
      overlong: () => undefined,
    })
    for (let at = 1; at <= 50; at++) {
      output.stopped = true
      input.write('a\n')
      await expect.poll(() => output.listenerCount('drain'), { timeout: 10_000 }).toBe(1)
      output.go()
      await expect.poll(() => output.listenerCount('drain'), { timeout: 10_000 }).toBe(0)
      expect(taken).toBe(at)
    }
    // That which ends its reading.
    expect((pipe as unknown as { readonly closings: ReadonlySet<unknown> }).closings.size).toBe(1)
    input.end()
    await read
  })

  test('ST-03: however the bytes come, the lines are the same', async () => {
    const bytes = fc.string({ unit: fc.constantFrom('a', 'b', '\n', 'é'), maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(
        bytes,
        fc.array(fc.nat(60), { maxLength: 6 }),
        fc.integer({ min: 1, max: 12 }),
        async (text, cuts, max) => {
          const all = Buffer.from(text, 'latin1')
          const at = [0, ...cuts.map((cut) => Math.min(cut, all.length)).sort((a, b) => a - b), all.length]
          const chunks = at.slice(1).map((end, index) => all.subarray(at[index], end))
          expect(await linesOf(chunks, max)).toEqual(expected(text, max))
        },
      ),
    )
  })

  test('ST-03: a line of the full length is taken, one byte more is not, and what has no end is none', async () => {
    expect(await linesOf([Buffer.from('12345678\n123456789\nshort\nunended')], 8)).toEqual([
      '12345678',
      'too long',
      'short',
    ])
  })

  test('the next line waits for the one before it', async () => {
    const { input, pipe } = pipeOf()
    const gate = Promise.withResolvers<void>()
    const taken: string[] = []
    const first = Promise.withResolvers<void>()
    const read = pipe.read({
      async line(bytes) {
        taken.push(bytes.toString())
        first.resolve()
        await gate.promise
        taken.push('done')
      },
      overlong: () => {},
    })
    input.end('a\nb\n')
    await first.promise
    expect(taken).toEqual(['a'])
    gate.resolve()
    await read
    expect(taken).toEqual(['a', 'done', 'b', 'done'])
  })

  test('nothing is read while what was written is not taken', async () => {
    const { input, output, pipe } = pipeOf()
    output.stopped = true
    const taken: string[] = []
    const answered = Promise.withResolvers<void>()
    const read = pipe.read({
      line(bytes) {
        taken.push(bytes.toString())
        pipe.send('an answer that is longer than the stream has room for')
        answered.resolve()
      },
      overlong: () => {},
    })
    input.end('a\nb\n')
    await answered.promise
    await new Promise((turn) => setImmediate(turn))
    expect(taken).toEqual(['a'])
    output.go()
    await read
    expect(taken).toEqual(['a', 'b'])
  })

  test('ST-05: a write that fails closes the pipe, and ends the reading', async () => {
    const { output, pipe } = pipeOf()
    const read = pipe.read({ line: () => {}, overlong: () => {} })
    output.destroy(new Error('EPIPE'))
    await read
    expect(pipe.closed).toBe(true)
    pipe.send('into nothing')
    expect(output.text).toBe('')
  })

  test('what fails while a line is taken is not taken for the end of the input', async () => {
    const { input, pipe } = pipeOf()
    const read = pipe.read({
      line() {
        throw new Error('ours')
      },
      overlong: () => {},
    })
    input.write('a\n')
    await expect(read).rejects.toThrow('ours')
  })

  test('notifications that nobody takes close the pipe; answers do not, and neither do notifications that are taken', () => {
    const { output, pipe } = pipeOf({ bufferBytesMax: 20 })
    for (let sent = 0; sent < 100; sent++) pipe.notify('1234567890')
    expect(pipe.closed).toBe(false)
    output.stopped = true
    pipe.send('x'.repeat(1_000))
    pipe.notify('1234567890')
    pipe.notify('1234567890')
    expect(pipe.closed).toBe(false)
    pipe.notify('1')
    expect(pipe.closed).toBe(true)
  })
})

describe('the way back', () => {
  const reply = () => {
    const { output, pipe } = pipeOf()
    const said: string[] = []
    return {
      output,
      pipe,
      said,
      reply: new ChannelReply(
        pipe,
        (name, value) => said.push(`${name}: ${value}`),
        () => said.push('over'),
      ),
    }
  }

  test('carries events and then the answer, and nothing after it', () => {
    const { output, said, reply: one } = reply()
    one.header('Mcp-Session-Id', 'abc')
    one.openStream()
    one.event('e')
    one.answer('a')
    one.event('late')
    one.answer('late')
    one.finish()
    expect(output.text).toBe('e\na\n')
    expect(said).toEqual(['Mcp-Session-Id: abc', 'over'])
    expect(one.gone).toBe(true)
  })

  test('tells once that the client has left, and at once where it has', () => {
    const { output, said, reply: one } = reply()
    one.onGone(() => said.push('left'))
    one.leave()
    one.leave()
    one.answer('a')
    one.onGone(() => said.push('had left'))
    expect(said).toEqual(['over', 'left', 'had left'])
    expect(output.text).toBe('')
  })

  test('is gone with the pipe', () => {
    const { pipe, reply: one } = reply()
    expect(one.gone).toBe(false)
    pipe.close()
    expect(one.gone).toBe(true)
  })
})
