/** The Host headers that mean the listening address. On loopback all its names do. */
export function ownHosts(scheme: 'http' | 'https', host: string, port: number): readonly string[] {
  const loopback = host === 'localhost' || host === '::1' || host.startsWith('127.')
  const literal = host.includes(':') ? `[${host}]` : host
  const names = loopback
    ? [...new Set([literal === 'localhost' ? '127.0.0.1' : literal, 'localhost', '127.0.0.1', '[::1]'])]
    : [literal]
  return names.flatMap((name) => (port === defaultPorts[scheme] ? [`${name}:${port}`, name] : [`${name}:${port}`]))
}

/** The Host headers that mean the public address. */
export function publicHosts(base: string): readonly string[] {
  const { host, protocol } = new URL(base)
  return host.includes(':') ? [host] : [host, `${host}:${protocol === 'https:' ? 443 : 80}`]
}

/** A client leaves these out. */
const defaultPorts = { http: 80, https: 443 }
