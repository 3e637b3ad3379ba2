import type { Config } from './schema.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/**
 * Where the MCP endpoint is to be reached: in clear, with TLS, or both. The one port of the server speaks one of them; TLS
 * with a port of its own leaves that one in clear.
 */
export function listening({ server, tls }: Pick<Config, 'server' | 'tls'>): {
  readonly clear: Address | undefined
  readonly tls: Address | undefined
} {
  const own = { host: server.host, port: server.port }
  if (tls.certificatePath === undefined || tls.keyPath === undefined) return { clear: own, tls: undefined }
  if (tls.port === undefined) return { clear: undefined, tls: own }
  return { clear: own, tls: { host: tls.host ?? server.host, port: tls.port } }
}

/** The port of the control plane's own listener. */
export function controlPort({ admin, server }: Pick<Config, 'admin' | 'server'>): number {
  return admin.port ?? (server.port === 0 ? 0 : server.port + 1)
}
