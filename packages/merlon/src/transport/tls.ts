import { constants } from 'node:crypto'
import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { openToOthers, permissions } from '../private-file.ts'

export interface TlsFiles {
  /** The certificate and those between it and its root, PEM. */
  readonly certificatePath: string
  /** Its private key, PEM, readable for its owner alone. */
  readonly keyPath: string
}

export interface TlsMaterial {
  readonly cert: Buffer
  readonly key: Buffer
}

/** What is offered: TLS 1.2 at the least, no renegotiation, and no compression (OWASP ASVS 5.0 V12.1). */
export const tlsOptions = {
  minVersion: 'TLSv1.2',
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
  handshakeTimeout: 10_000,
} as const

/** Reads certificate and key. Throws, in words for the operator, where others can read the key or the two do not fit. */
export function readTls(files: TlsFiles): TlsMaterial {
  const cert = readFile(files.certificatePath, false)
  const key = readFile(files.keyPath, true)
  try {
    createSecureContext({ cert, key, ...tlsOptions })
  } catch (cause) {
    throw new Error(`the certificate ${files.certificatePath} and the key ${files.keyPath} cannot be used together`, {
      cause,
    })
  }
  return { cert, key }
}

function readFile(path: string, secret: boolean): Buffer {
  let handle: number
  try {
    handle = openSync(path, 'r')
  } catch (cause) {
    throw new Error(`the file ${path} cannot be read`, { cause })
  }
  try {
    if (secret && openToOthers(permissions(fstatSync(handle)))) {
      throw new Error(`others can read the key file ${path}; run: chmod 600 ${path}`)
    }
    return readFileSync(handle)
  } finally {
    closeSync(handle)
  }
}

/**
 * Tells when the files have changed since it was last asked. A renewal writes two files, so a change counts when both
 * have been still since the time before.
 */
export function tlsWatch(files: TlsFiles): () => boolean {
  const stamp = () =>
    [files.certificatePath, files.keyPath].map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0).join()
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
