import { hash } from 'node:crypto'
import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** Whether a client is asked for a certificate. One that is shown must be good in any case. */
export type Demand = 'request' | 'required'

/** Why a client certificate does not do, for the record. */
export type CertificateProblem = `certificate-${'missing' | 'expired' | 'revoked' | 'list' | 'untrusted'}`

const problems: ReadonlyMap<string, CertificateProblem> = new Map([
  ['CERT_HAS_EXPIRED', 'certificate-expired'],
  ['CERT_NOT_YET_VALID', 'certificate-expired'],
  ['CERT_REVOKED', 'certificate-revoked'],
  ['CRL_HAS_EXPIRED', 'certificate-list'],
])

/**
 * Closes a connection whose client lacks the certificate that is demanded: as soon as TLS is settled, before anything of HTTP
 * is read. The check is ours and not the library's, which would not tell from where the client came.
 */
export function demandCertificates(
  server: Server,
  demand: Demand,
  refused: (socket: Socket, problem: CertificateProblem) => void,
): void {
  server.prependListener('secureConnection', (socket) => {
    if (socket.authorized) return
    const shown = socket.getPeerX509Certificate() !== undefined
    if (!shown && demand === 'request') return
    const code = String(socket.authorizationError)
    refused(socket, shown ? (problems.get(code) ?? 'certificate-untrusted') : 'certificate-missing')
    socket.destroy()
  })
}

/** The SHA-256 thumbprint of the certificate that a client has shown, in base64url (RFC 8705 §3.1): no more is read of it. */
export function thumbprintOf(socket: Socket): string | undefined {
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  return certificate && hash('sha256', certificate.raw, 'base64url')
}
