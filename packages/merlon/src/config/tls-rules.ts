import { type Address, controlPort, listening } from './listening.ts'
import { type Rule, when } from './rule.ts'
import { isLoopback } from './values.ts'

const fixClear =
  'Set tls.certificatePath and tls.keyPath, name the TLS-terminating proxy in server.trustedProxies, or listen on 127.0.0.1'

/** Which doors may be open in clear, and that each is a door of its own. */
export const tlsRules: readonly Rule[] = [
  {
    promise: 'Beyond loopback it is served only with TLS, or behind a named TLS-terminating proxy.',
    id: 'CA-101',
    severity: 'error',
    check: (config) => {
      const { clear, tls } = listening(config)
      const open = clear !== undefined && !isLoopback(clear.host) && config.server.trustedProxies.length === 0
      return when(open, {
        paths: ['server.host', 'server.trustedProxies'],
        says: 'listens beyond loopback without TLS',
        fix:
          tls === undefined
            ? fixClear
            : 'Listen on 127.0.0.1 in clear and put the address for TLS in tls.host, leave tls.port out and speak TLS alone, or name the TLS-terminating proxy in server.trustedProxies',
      })
    },
  },
  {
    promise: 'A certificate comes with its key.',
    id: 'CA-201',
    severity: 'error',
    check: ({ tls }) =>
      when((tls.certificatePath === undefined) !== (tls.keyPath === undefined), {
        paths:
          tls.keyPath === undefined ? ['tls.keyPath', 'tls.certificatePath'] : ['tls.certificatePath', 'tls.keyPath'],
        says: 'is missing beside the other',
        fix: 'Set both, or neither',
      }),
  },
  {
    promise: 'A port for TLS has a certificate.',
    id: 'CA-208',
    severity: 'error',
    check: ({ tls }) => [
      ...when(tls.port !== undefined && tls.certificatePath === undefined && tls.keyPath === undefined, {
        paths: ['tls.port', 'tls.certificatePath', 'tls.keyPath'],
        says: 'there is no certificate for it',
        fix: 'Set tls.certificatePath and tls.keyPath, or leave the port out',
      }),
      ...when(tls.host !== undefined && tls.port === undefined, {
        paths: ['tls.host', 'tls.port'],
        says: 'is the address of a port for TLS, and there is none',
        fix: 'Set tls.port, or leave it out: server.host is where the one port listens',
      }),
    ],
  },
  {
    promise: 'TLS and plain HTTP have a port each.',
    id: 'CA-209',
    severity: 'error',
    check: (config) => {
      const { clear, tls } = listening(config)
      return when(clear !== undefined && tls !== undefined && clash(clear, tls), {
        paths: ['tls.port', 'server.port'],
        says: 'is the port of plain HTTP',
        fix: 'Name another, or leave it out: then the one port speaks TLS and nothing else',
      })
    },
  },
  {
    promise: 'Client certificates are asked for with TLS, and of a named authority.',
    id: 'CA-210',
    severity: 'error',
    check: ({ tls }) => {
      const asked = tls.clientCertificate !== 'off'
      const idle = tls.clientCaPath === undefined ? 'tls.clientCrlPath' : 'tls.clientCaPath'
      return [
        ...when(asked && tls.keyPath === undefined, {
          paths: ['tls.clientCertificate', 'tls.keyPath'],
          says: 'needs TLS, and there is none',
          fix: 'Set tls.certificatePath and tls.keyPath, or leave it out',
        }),
        ...when(asked && tls.clientCaPath === undefined, {
          paths: ['tls.clientCaPath', 'tls.clientCertificate'],
          says: 'names no authority, so that no certificate would be good',
          fix: 'Set it to the certificate of your authority',
        }),
        ...when(!asked && (tls.clientCaPath !== undefined || tls.clientCrlPath !== undefined), {
          paths: [idle, 'tls.clientCertificate'],
          says: 'has no effect: no client is asked for a certificate',
          fix: 'Set tls.clientCertificate to required or request, or leave this out',
        }),
      ]
    },
  },
  {
    promise: 'Beyond loopback the control plane is served only with TLS, or behind a named TLS-terminating proxy.',
    id: 'CA-121',
    severity: 'error',
    check: ({ admin, server, tls }) =>
      when(
        admin.listener === 'own' &&
          !isLoopback(admin.host) &&
          server.trustedProxies.length === 0 &&
          tls.keyPath === undefined,
        {
          paths: ['admin.host', 'server.trustedProxies'],
          says: 'the control plane listens beyond loopback without TLS',
          fix: fixClear,
        },
      ),
  },
  {
    promise: 'The control plane has a port of its own.',
    id: 'CA-122',
    severity: 'error',
    check: (config) => {
      const { admin } = config
      const { clear, tls } = listening(config)
      const port = controlPort(config)
      const taken = [clear, tls].some((place) => place !== undefined && clash(place, { host: admin.host, port }))
      return when(admin.listener === 'own' && (taken || port > 65_535), {
        paths: ['admin.port', 'server.port', 'tls.port'],
        says: taken ? 'is the port of the MCP endpoint' : 'there is no port after server.port',
        fix: 'Name another port, or set admin.listener to off and use the socket in the data folder',
      })
    },
  },
]

/** Whether two listeners want the same; a free port is never another's. */
function clash(one: Address, other: Address): boolean {
  return one.port !== 0 && one.port === other.port && one.host === other.host
}
