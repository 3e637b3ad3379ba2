import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

/** What a tool is told to do. */
export type Order =
  | { readonly act: 'say'; readonly texts: readonly string[] }
  | { readonly act: 'ask'; readonly text: string }
  | { readonly act: 'finish'; readonly text: string }

/** What it tells: its name first, then that an order is carried out, and what a question brought. */
export type Report = { readonly label: string } | { readonly done: true } | { readonly answer: string }

const patienceMs = 20_000

/** A call whose tool does what the test says, in whichever process it runs. */
export class Puppet {
  /** What its questions brought, in the order of the answers. */
  readonly answers: string[] = []
  /** Its call is over, or its process is. */
  gone = false
  readonly #socket: Socket
  #done = 0
  #waiting: (() => void)[] = []

  constructor(socket: Socket) {
    this.#socket = socket
    socket.once('close', () => {
      this.gone = true
      this.#wake()
    })
  }

  /** Resolves when it is carried out, or the call is over. */
  async carryOut(order: Order): Promise<void> {
    const before = this.#done
    this.#socket.write(`${JSON.stringify(order)}\n`)
    await this.until(() => this.#done > before)
  }

  /** Waits for something that a report brings, or the end of the call. */
  async until(holds: () => boolean): Promise<void> {
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.#wake()
    }, patienceMs)
    while (!holds() && !this.gone && !late) await new Promise<void>((woken) => this.#waiting.push(woken))
    clearTimeout(timer)
    if (late) throw new Error(`a call neither did what it was told nor ended within ${patienceMs} ms`)
  }

  leave(): void {
    this.#socket.destroy()
  }

  heard(report: Report): void {
    if ('done' in report) this.#done++
    if ('answer' in report) this.answers.push(report.answer)
    this.#wake()
  }

  #wake(): void {
    for (const woken of this.#waiting.splice(0)) woken()
  }
}

/** Where the tools of all servers of a run ask what to do. */
export class Puppets {
  readonly #server: Server
  readonly #arrived = new Map<string, Puppet>()
  readonly #awaited = new Map<string, (puppet: Puppet) => void>()

  private constructor(server: Server) {
    this.#server = server
  }

  static async open(): Promise<Puppets> {
    const server = createServer()
    const puppets = new Puppets(server)
    server.on('connection', (socket) => puppets.#take(socket))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return puppets
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** The tool that was called with this label, as soon as it runs. Whoever asks no more aborts. */
  async find(label: string, signal: AbortSignal): Promise<Puppet | undefined> {
    const arrived = this.#arrived.get(label)
    if (arrived !== undefined) return arrived
    return new Promise((resolve) => {
      this.#awaited.set(label, resolve)
      signal.addEventListener('abort', () => {
        this.#awaited.delete(label)
        resolve(undefined)
      })
    })
  }

  close(): void {
    for (const puppet of this.#arrived.values()) puppet.leave()
    this.#server.close()
  }

  #take(socket: Socket): void {
    socket.on('error', () => socket.destroy())
    const puppet = new Puppet(socket)
    createInterface({ input: socket }).on('line', (line) => {
      const report = JSON.parse(line) as Report
      if (!('label' in report)) return puppet.heard(report)
      this.#arrived.set(report.label, puppet)
      this.#awaited.get(report.label)?.(puppet)
      this.#awaited.delete(report.label)
      socket.once('close', () => this.#arrived.delete(report.label))
    })
  }
}
