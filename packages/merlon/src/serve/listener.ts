import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ownHosts } from '../guard/own-hosts.ts'

/** The HTTP server, over TCP or TLS. */
type Listening = Pick<Server, 'listen' | 'on' | 'address' | 'close' | 'closeIdleConnections' | 'closeAllConnections'>

/** Where to listen; `what` begins the sentence of a failure, and `instead` says what to do where the port is taken. */
export interface Place {
  readonly scheme: 'http' | 'https'
  readonly host: string
  readonly port: number
  readonly what: string
  readonly instead: string
}

/** A listener that is open. */
export interface Listener<S extends Listening = Listening> {
  readonly server: S
  /** The address, as a client of this machine calls it. */
  readonly url: string
  /** The Host headers that mean it. */
  readonly hosts: readonly string[]
}

/** Listens there. Rejects in words for the operator. */
export function listen<S extends Listening>(
  server: S,
  { scheme, host, port, what, instead }: Place,
): Promise<Listener<S>> {
  return new Promise((resolve, reject) => {
    // It stays: a connection that cannot be taken later, as where no descriptor is left, must not end the server.
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const where = `${what} cannot listen on ${host}:${port}`
      const why = cause.code === 'EADDRINUSE' ? `, which is in use; ${instead}` : `: ${cause.message}`
      reject(new Error(`${where}${why}`, { cause }))
    })
    server.listen(port, host, () => {
      const hosts = ownHosts(scheme, host, (server.address() as AddressInfo).port)
      resolve({ server, url: `${scheme}://${hosts[0]}`, hosts })
    })
  })
}

/** For an answer to be taken before its connection is closed. */
const graceMs = 1_000

/**
 * Takes no more connections at once. When what is under way has ended, as `ended` tells, idle connections are closed, and a
 * moment later those that are left. Resolves when none is open.
 */
export async function stop(server: Listening, ended?: Promise<unknown>): Promise<void> {
  const closed = new Promise<void>((done) => server.close(() => done()))
  await ended
  server.closeIdleConnections()
  const last = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearTimeout(last)
}
