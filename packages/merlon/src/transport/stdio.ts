import type { Readable } from 'node:stream'
import type { Awaitable } from '../call.ts'
import type { Channel } from './channel.ts'

/** Where lines are written: a stream, or as much of one. */
export interface LineOutput {
  /** Writes, and answers whether there is room for more. */
  write(text: string): boolean
  /** What has been written and not yet taken. */
  readonly writableLength: number
  on(event: 'error' | 'close', listener: () => void): unknown
  once(event: 'drain', listener: () => void): unknown
}

export interface PipeOptions {
  readonly input: Readable
  readonly output: LineOutput
  readonly lineBytesMax: number
  /** Of notifications that the other end has not taken. Beyond it the pipe closes. */
  readonly bufferBytesMax: number
}

/** Takes what comes over a pipe. The next line is not looked at before this one is taken. */
export interface Lines {
  line(bytes: Buffer): Awaitable<void>
  /** A line that was too long; nothing of it was kept. */
  overlong(): Awaitable<void>
}

const newline = 0x0a
const empty = Buffer.alloc(0)

/**
 * Messages over a pair of streams, one on a line (MCP, stdio). It moves bytes and has no opinions: a line is bounded, the
 * rest of one that is longer is skipped, and nothing more is read while what was written has not been taken.
 */
export class Pipe implements Channel {
  private readonly options: PipeOptions
  private kept = empty
  private size = 0
  private skipping = false
  /** Of notifications since all that was written had been taken. */
  private noticeBytes = 0
  private full = false
  private readonly closings = new Set<() => void>()
  closed = false

  constructor(options: PipeOptions) {
    this.options = options
    const { output } = options
    output.on('error', () => this.close())
    output.on('close', () => this.close())
    // A reader who breaks off has nothing more to say; what it had said is dealt with where it is read.
    options.input.on('error', () => undefined)
  }

  /** Reads until the other end closes, or the pipe is closed here. A line that it does not end is none. */
  async read(lines: Lines): Promise<void> {
    const { input } = this.options
    const stop = () => input.destroy()
    this.onClosed(stop)
    try {
      for await (const chunk of input as AsyncIterable<Buffer>) {
        let from = 0
        for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
          await this.take(chunk.subarray(from, end), lines)
          if (this.closed) return
          from = end + 1
        }
        this.keep(chunk.subarray(from))
      }
    } catch (thrown) {
      // That it broke off is the same as its end.
      if (thrown !== input.errored && (thrown as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE')
        throw thrown
    }
  }

  send(message: string): void {
    if (!this.closed) this.write(message)
  }

  notify(message: string): void {
    if (this.closed) return
    const { output, bufferBytesMax } = this.options
    if (output.writableLength === 0) this.noticeBytes = 0
    if (Math.min(this.noticeBytes, output.writableLength) > bufferBytesMax) {
      this.close()
      return
    }
    this.noticeBytes += message.length
    this.write(message)
  }

  /** Reads and writes no more. */
  close(): void {
    if (this.closed) return
    this.closed = true
    const closings = [...this.closings]
    this.closings.clear()
    for (const closing of closings) closing()
  }

  onClosed(listener: () => void): () => void {
    if (this.closed) listener()
    else this.closings.add(listener)
    return () => void this.closings.delete(listener)
  }

  private write(message: string): void {
    this.full = !this.options.output.write(`${message}\n`)
  }

  private keep(part: Buffer): void {
    if (this.skipping || part.length === 0) return
    if (this.size + part.length > this.options.lineBytesMax) {
      this.skipping = true
      this.kept = empty
      this.size = 0
      return
    }
    if (this.size + part.length > this.kept.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * this.kept.length, this.size + part.length))
      this.kept.copy(larger, 0, 0, this.size)
      this.kept = larger
    }
    part.copy(this.kept, this.size)
    this.size += part.length
  }

  private async take(last: Buffer, lines: Lines): Promise<void> {
    let line = last
    if (this.size > 0 || last.length > this.options.lineBytesMax) {
      this.keep(last)
      line = this.kept.subarray(0, this.size)
    }
    const overlong = this.skipping
    this.kept = empty
    this.size = 0
    this.skipping = false
    await (overlong ? lines.overlong() : lines.line(line))
    if (this.full && !this.closed) await this.room()
  }

  private room(): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.onClosed(resolve)
      this.options.output.once('drain', () => {
        this.full = false
        stop()
        resolve()
      })
    })
  }
}
