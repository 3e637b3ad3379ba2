import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** A balancer that knows nothing of HTTP: each connection goes to the next server that takes it, and breaks with it. */
export class Balancer {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #turn = 0

  private constructor(server: Server) {
    this.#server = server
  }

  /** `ports`: where the servers listen now; 0 for one that does not. */
  static async open(ports: () => readonly number[]): Promise<Balancer> {
    const server = createServer({ noDelay: true })
    const balancer = new Balancer(server)
    server.on('connection', (client) => balancer.#serve(client, ports()))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return balancer
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #serve(client: Socket, ports: readonly number[]): void {
    this.#hold(client)
    client.on('error', () => client.destroy())
    const from = this.#turn++
    const order = ports.map((_, at) => ports[(from + at) % ports.length]!).filter((port) => port !== 0)
    const tryNext = () => {
      const port = order.shift()
      if (port === undefined || client.destroyed) return void client.destroy()
      const upstream = connect({ port, host: '127.0.0.1', noDelay: true })
      this.#hold(upstream)
      let connected = false
      upstream.once('connect', () => {
        connected = true
        client.pipe(upstream).pipe(client)
      })
      upstream.on('error', () => upstream.destroy())
      upstream.once('close', () => (connected ? client.destroy() : tryNext()))
      client.once('close', () => upstream.destroy())
    }
    tryNext()
  }

  #hold(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }
}
