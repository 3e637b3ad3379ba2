import type { Server as TlsServer } from 'node:https'
import { resolve } from 'node:path'
import type { Clock, Instant } from '../call.ts'
import type { Config } from '../config/schema.ts'
import type { Log } from '../dispatch/services.ts'
import { every } from '../every.ts'
import { readTls, type TlsFiles, type TlsMaterial, tlsOptions, tlsWatch } from '../transport/tls.ts'

/** The certificate that TLS is spoken with: read at the start, and again when its files change. */
export class Certificate {
  private readonly files: TlsFiles
  private readonly clock: Clock
  private readonly changed: () => boolean
  private used: TlsMaterial

  private constructor(files: TlsFiles, clock: Clock) {
    this.files = files
    this.clock = clock
    this.changed = tlsWatch(files)
    this.used = readTls(files, clock())
  }

  /** `undefined` where none is configured. Throws, in words for the operator, where it cannot be used. */
  static open({ tls }: Config, project: string, clock: Clock): Certificate | undefined {
    const { certificatePath, keyPath, clientCertificate: demand, clientCaPath, clientCrlPath } = tls
    if (certificatePath === undefined || keyPath === undefined) return undefined
    const files = { certificatePath: resolve(project, certificatePath), keyPath: resolve(project, keyPath) }
    if (demand === 'off' || clientCaPath === undefined) return new Certificate(files, clock)
    const crlPath = clientCrlPath && resolve(project, clientCrlPath)
    return new Certificate({ ...files, clients: { demand, caPath: resolve(project, clientCaPath), crlPath } }, clock)
  }

  get material(): TlsMaterial {
    return this.used
  }

  get endsAt(): Instant {
    return this.used.notAfter
  }

  /** Whether clients that look at its dates take it now. */
  isCurrent(): boolean {
    const now = this.clock()
    return now >= this.used.notBefore && now < this.used.notAfter
  }

  /** Gives a renewed certificate to these for new connections; those that are open keep theirs. One that cannot be used is told, and the old one stays. */
  follow(servers: readonly object[], log: Log): NodeJS.Timeout {
    const renew = () => {
      if (!this.changed()) return
      try {
        this.used = readTls(this.files, this.clock())
        for (const server of servers)
          if (isTls(server)) server.setSecureContext({ ...tlsOptions, ...this.used.context })
        log.info({ until: new Date(this.used.notAfter).toISOString() }, 'took the renewed certificate')
      } catch (error) {
        log.error({}, `kept the certificate as it was: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    return every(1_000, renew, (cause) => log.error({ err: cause }, 'looking for a renewed certificate failed'))
  }
}

function isTls(server: object): server is TlsServer {
  return 'setSecureContext' in server
}
