import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'

const askMs = 100
const readyMs = 30_000

/**
 * A proxy that does what deploy/proxy/haproxy.cfg does, where no HAProxy is installed: round robin among those that say they
 * are ready, connections that are kept, and another server for what none has begun (it could not be reached, or it said 503).
 * A connection that breaks later is a 502: the call may have run.
 */
export class ReadinessProxy {
  readonly #ports: readonly number[]
  readonly #ready = new Set<number>()
  readonly #agent = new Agent({ keepAlive: true })
  readonly #server: Server
  readonly #asking: NodeJS.Timeout
  #turn = 0

  private constructor(ports: readonly number[]) {
    this.#ports = ports
    this.#server = createServer((incoming, response) => {
      incoming.on('error', () => undefined)
      response.on('error', () => undefined)
      buffer(incoming).then(
        (body) => this.#pass(incoming, body, response, this.#order()),
        () => response.destroy(),
      )
    })
    this.#asking = setInterval(() => this.#askAll(), askMs)
  }

  static async open(ports: readonly number[], port: number): Promise<ReadinessProxy> {
    const proxy = new ReadinessProxy(ports)
    proxy.#server.listen(port, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Resolves when every server gets calls. */
  async whenAllReady(): Promise<void> {
    const until = performance.now() + readyMs
    while (this.#ready.size < this.#ports.length) {
      if (performance.now() > until) throw new Error(`of ${this.#ports} only ${[...this.#ready]} are ready`)
      await wait(askMs)
    }
  }

  close(): void {
    clearInterval(this.#asking)
    this.#server.close()
    this.#server.closeAllConnections()
    this.#agent.destroy()
  }

  #order(): readonly number[] {
    const ready = this.#ports.filter((port) => this.#ready.has(port))
    const from = this.#turn++
    return ready.map((_, at) => ready[(from + at) % ready.length]!)
  }

  #pass(incoming: IncomingMessage, body: Buffer, response: ServerResponse, [port, ...others]: readonly number[]): void {
    if (port === undefined) {
      response.writeHead(503).end()
      return
    }
    const { method, url: path, headers } = incoming
    const asked = request({ host: '127.0.0.1', port, method, path, headers, agent: this.#agent }, (answer) => {
      if (answer.statusCode === 503 && others.length > 0) {
        answer.resume()
        this.#pass(incoming, body, response, others)
        return
      }
      // Which connection is kept, is for each side to say.
      const { connection: _, 'keep-alive': __, ...rest } = answer.headers
      response.writeHead(answer.statusCode ?? 502, rest)
      response.flushHeaders()
      answer.on('data', (bytes) => response.write(bytes))
      answer.on('end', () => response.end())
      answer.on('error', () => response.destroy())
      answer.on('close', () => answer.complete || response.destroy())
    })
    asked.on('error', (error: NodeJS.ErrnoException) => {
      if (response.headersSent || response.destroyed) response.destroy()
      else if (error.code === 'ECONNREFUSED') this.#pass(incoming, body, response, others)
      else response.writeHead(502, { 'X-Broken': error.code ?? error.message }).end()
    })
    response.on('close', () => asked.destroy())
    asked.end(body)
  }

  #askAll(): void {
    for (const port of this.#ports) {
      const asked = request({ host: '127.0.0.1', port, path: '/ready', agent: false, timeout: 2_000 }, (answer) => {
        answer.resume()
        if (answer.statusCode === 200) this.#ready.add(port)
        else this.#ready.delete(port)
      })
      asked.on('timeout', () => asked.destroy())
      asked.on('error', () => this.#ready.delete(port))
      asked.end()
    }
  }
}
