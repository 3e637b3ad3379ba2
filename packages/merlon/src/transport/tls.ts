import { constants, X509Certificate } from 'node:crypto'
import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import { createSecureContext, type TlsOptions } from 'node:tls'
import type { Instant } from '../call.ts'
import { secretFile, secretOpenToOthers } from '../private-file.ts'
import type { Demand } from './client-certificates.ts'

export interface TlsFiles {
  /** The certificate and those between it and its root, PEM. */
  readonly certificatePath: string
  /** Its private key, PEM, readable for its owner alone. */
  readonly keyPath: string
  /** What client certificates are held to, where they are asked for. */
  readonly clients?: { readonly demand: Demand; readonly caPath: string; readonly crlPath: string | undefined }
}

export interface TlsMaterial {
  readonly context: {
    readonly cert: Buffer
    readonly key: Buffer
    readonly ca?: Buffer
    readonly crl?: string[]
  }
  readonly demand: Demand | undefined
  /** The dates of the certificate itself. */
  readonly notBefore: Instant
  readonly notAfter: Instant
}

/** With forward secrecy and an authenticated mode, and nothing else (RFC 9325 §4.2). The first three are of TLS 1.3. */
const ciphers = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/** For the exchange of keys: that of post-quantum and elliptic curves together first, and no finite field, whose cost is the server's. */
const groups = 'X25519MLKEM768:X25519:prime256v1:secp384r1'

/**
 * What is offered: TLS 1.2 at the least, no renegotiation, no compression (OWASP ASVS 5.0 V12.1), and HTTP/1.1 alone. No
 * session is resumed: a connection is as good as the certificates that are in force when it is opened, and no key of tickets
 * can open what was said before.
 */
export const tlsOptions = {
  minVersion: 'TLSv1.2',
  ciphers,
  ecdhCurve: groups,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION | constants.SSL_OP_NO_TICKET,
  ALPNProtocols: ['http/1.1'],
  handshakeTimeout: 10_000,
} satisfies TlsOptions

/**
 * Reads certificate and key. Throws, in words for the operator, where others can read the key, the two do not fit, or no
 * client would take the certificate today.
 */
export function readTls(files: TlsFiles, now: Instant): TlsMaterial {
  const { certificatePath, keyPath } = files
  const cert = readFile(certificatePath, false)
  const key = readFile(keyPath, true)
  const { validFromDate, validToDate } = readCertificate(cert, certificatePath)
  const [notBefore, notAfter] = [validFromDate.getTime(), validToDate.getTime()]
  if (now >= notAfter) throw new Error(`the certificate ${certificatePath} ended on ${day(notAfter)}; renew it`)
  if (now < notBefore)
    throw new Error(`the certificate ${certificatePath} begins on ${day(notBefore)}; set the clock right, or wait`)
  const context = { cert, key, ...clientContext(files.clients) }
  try {
    createSecureContext({ ...tlsOptions, ...context })
  } catch (cause) {
    throw new Error(
      `the certificate ${certificatePath} and the key ${keyPath} cannot be used together; name the key that the certificate was made for, PEM and without a passphrase`,
      { cause },
    )
  }
  return { context, notBefore, notAfter, demand: files.clients?.demand }
}

function clientContext(clients: TlsFiles['clients']): Pick<TlsMaterial['context'], 'ca' | 'crl'> {
  if (clients === undefined) return {}
  const { caPath, crlPath } = clients
  const ca = readFile(caPath, false)
  readCertificate(ca, caPath)
  if (crlPath === undefined) return { ca }
  // Of a text with several only the first would be taken.
  const crl = readFile(crlPath, false).toString('latin1').match(crlPattern)
  if (crl === null) throw new Error(`the file ${crlPath} holds no list of revoked certificates; it takes a CRL in PEM`)
  try {
    createSecureContext({ crl: [...crl] })
  } catch (cause) {
    throw new Error(`the list of revoked certificates ${crlPath} cannot be read; have it made again`, { cause })
  }
  return { ca, crl: [...crl] }
}

const crlPattern = /-----BEGIN X509 CRL-----[A-Za-z0-9+/=\s]+-----END X509 CRL-----/g

function readCertificate(pem: Buffer, path: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw new Error(`the file ${path} holds no certificate; it takes PEM`, {
      cause,
    })
  }
}

const day = (at: Instant): string => new Date(at).toISOString().slice(0, 10)

function readFile(path: string, secret: boolean): Buffer {
  let handle: number
  try {
    handle = openSync(path, 'r')
  } catch (cause) {
    throw new Error(`the file ${path} cannot be read; check that it is there and that this user may read it`, { cause })
  }
  try {
    if (secret && secretOpenToOthers(secretFile(path, fstatSync(handle)))) {
      throw new Error(`others can read the key file ${path}; run: chmod 600 ${path}`)
    }
    return readFileSync(handle)
  } finally {
    closeSync(handle)
  }
}

/**
 * Tells when the files have changed since it was last asked. A renewal writes several, so a change counts when all
 * have been still since the time before.
 */
export function tlsWatch(files: TlsFiles): () => boolean {
  const { certificatePath, keyPath, clients } = files
  const paths = [certificatePath, keyPath, clients?.caPath, clients?.crlPath].filter((path) => path !== undefined)
  // A link that was turned to another file is a change too.
  const stamp = () =>
    paths
      .map((path) => statSync(path, { throwIfNoEntry: false }))
      .map((found) => (found === undefined ? '' : `${found.ino} ${found.mtimeMs}`))
      .join()
  let used = stamp()
  let seen = used
  return () => {
    const now = stamp()
    const still = now === seen
    seen = now
    if (!still || now === used) return false
    used = now
    return true
  }
}
