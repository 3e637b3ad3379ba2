import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A balancer without memory: each request, on whatever connection it comes, goes to the next server. */
export class RoundRobin {
  readonly #server: Server
  /** How many requests each server was given. */
  readonly served: number[]

  private constructor(server: Server, served: number[]) {
    this.#server = server
    this.served = served
  }

  static async open(servers: readonly { readonly port: number }[]): Promise<RoundRobin> {
    const served = servers.map(() => 0)
    let turn = 0
    const server = createServer((incoming, outgoing) => {
      const at = turn++ % servers.length
      served[at]!++
      const { port } = servers[at]!
      const { method, url, headers } = incoming
      const to = { port, host: '127.0.0.1', method, path: url, agent: false } as const
      const passed = request({ ...to, headers: { ...headers, host: `127.0.0.1:${port}` } }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        outgoing.flushHeaders()
        answer.pipe(outgoing)
        answer.on('error', () => outgoing.destroy())
      })
      passed.on('error', () => outgoing.destroy())
      outgoing.on('close', () => passed.destroy())
      incoming.pipe(passed)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new RoundRobin(server, served)
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/mcp`
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}
