import { connect, type Socket } from 'node:net'
import { type Response, ResponseReader } from './response.ts'

/** One keep-alive connection, one request at a time. Reads into one buffer, so that reading makes no garbage. */
export class Connection {
  readonly #socket: Socket
  readonly #reader: ResponseReader
  #onResponse: ((response: Response) => void) | undefined
  #onHead: ((status: number, head: string) => void) | undefined
  #onFailure: ((error: Error) => void) | undefined
  #closing = false

  private constructor(port: number) {
    this.#reader = new ResponseReader(
      (response) => {
        const answered = this.#onResponse
        if (answered === undefined) this.#fail(new Error('a response came that nobody asked for'))
        else answered(response)
      },
      (status, head) => this.#onHead?.(status, head),
    )
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(65_536),
        callback: (count, buffer) => {
          try {
            this.#reader.push((buffer as Buffer).subarray(0, count))
          } catch (error) {
            this.#fail(error as Error)
          }
          return true
        },
      },
    })
    this.#socket.on('error', (error) => this.#fail(error))
    this.#socket.on('close', () => this.#fail(new Error('the server closed the connection')))
  }

  static open(port: number): Promise<Connection> {
    const connection = new Connection(port)
    return new Promise((resolve, reject) => {
      connection.#onFailure = reject
      connection.#socket.once('connect', () => resolve(connection))
    })
  }

  /** Who is told of responses from now on, and of the end of the connection. */
  listen(onResponse: (response: Response) => void, onFailure: (error: Error) => void): void {
    this.#onResponse = onResponse
    this.#onFailure = onFailure
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** One request and its whole answer; the body is a copy. */
  ask(bytes: Buffer): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.listen((response) => resolve({ ...response, body: Buffer.from(response.body) }), reject)
      this.write(bytes)
    })
  }

  /** One request whose answer stays open; resolves with its head. */
  askStream(bytes: Buffer): Promise<{ status: number; head: string }> {
    return new Promise((resolve, reject) => {
      this.#onHead = (status, head) => resolve({ status, head })
      this.listen(() => reject(new Error('the stream ended')), reject)
      this.write(bytes)
    })
  }

  close(): void {
    this.#closing = true
    this.#socket.destroy()
  }

  #fail(error: Error): void {
    if (this.#closing) return
    this.close()
    this.#onFailure?.(error)
  }
}
