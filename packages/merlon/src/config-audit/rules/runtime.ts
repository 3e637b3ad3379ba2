import type { Facts } from '../facts.ts'
import { type Found, place, type Rule } from '../rule.ts'

/** The first release of each line that has what we rely on; lines between have none. */
const leastOfLine: ReadonlyMap<number, readonly [minor: number, patch: number]> = new Map([
  [24, [21, 0]],
  [26, [0, 0]],
])

const flagged = ({ process }: Facts, pattern: RegExp, says: string): readonly Found[] =>
  process.flags.filter((flag) => pattern.test(flag)).map((flag) => ({ where: flag.replace(/=.*$/s, ''), says }))

/** The process: its Node.js, how it was started, and as whom. Those that are fatal are looked at by `merlon start`. */
export const runtimeRules: readonly Rule[] = [
  {
    id: 'CA-701',
    title: 'Nobody can look into the memory of the process.',
    severity: 'fatal',
    why: 'Every secret is in that memory; an inspector gives it to whoever reaches the port.',
    fix: 'Start without the option, NODE_OPTIONS included; `merlon dev` allows it.',
    source: ['ASVS 5.0 V13.4.2'],
    check: ({ process: { exposed } }) => place(exposed ?? '', exposed !== undefined, 'opens the memory to others'),
  },
  {
    id: 'CA-702',
    title: 'HTTP is read strictly.',
    severity: 'fatal',
    why: 'The lenient reader takes requests whose end a proxy sees elsewhere, and then one request hides another.',
    fix: 'Start without --insecure-http-parser, NODE_OPTIONS included.',
    source: ['ASVS 5.0 V4.2.1'],
    check: (facts) => flagged(facts, /^--insecure-http-parser(?:=|$)/, 'reads HTTP leniently'),
  },
  {
    id: 'CA-703',
    title: 'Certificates of others are looked at.',
    severity: 'fatal',
    why: 'Without the check whoever is in between can be the identity provider, the database or the webhook.',
    fix: 'Unset NODE_TLS_REJECT_UNAUTHORIZED, and name your authority in NODE_EXTRA_CA_CERTS.',
    source: ['ASVS 5.0 V12.3.2'],
    check: ({ process }) =>
      place(
        'env:NODE_TLS_REJECT_UNAUTHORIZED',
        process.variables.get('NODE_TLS_REJECT_UNAUTHORIZED') === '0',
        'switches the check of certificates off',
      ),
  },
  {
    id: 'CA-704',
    title: 'The keys of TLS connections are written nowhere.',
    severity: 'fatal',
    why: 'With them everything that was sent can be read by whoever recorded it.',
    fix: 'Start without --tls-keylog and --trace-tls, NODE_OPTIONS included.',
    source: ['ASVS 5.0 V13.4.2', 'ASVS 5.0 V12.2.1'],
    check: (facts) => flagged(facts, /^--(?:tls-keylog|trace-tls)(?:=|$)/, 'writes what TLS keeps secret'),
  },
  {
    id: 'CA-705',
    title: 'No fix of Node.js is taken back.',
    severity: 'fatal',
    why: '--security-revert opens a known hole again.',
    fix: 'Start without it, NODE_OPTIONS included.',
    source: ['ASVS 5.0 V15.2.1'],
    check: (facts) => flagged(facts, /^--security-revert(?:=|$)/, 'takes a security fix back'),
  },
  {
    id: 'CA-706',
    title: 'Old versions of TLS stay off.',
    severity: 'high',
    why: 'TLS 1.0 and 1.1 are broken; calls to other services would fall back to them.',
    fix: 'Start without --tls-min-v1.0, --tls-min-v1.1 and --openssl-legacy-provider, NODE_OPTIONS included.',
    source: ['ASVS 5.0 V12.1.1'],
    check: (facts) =>
      flagged(
        facts,
        /^--(?:tls-min-v1\.[01]|tls-max-v1\.[01]|openssl-legacy-provider|tls-cipher-list)(?:=|$)/,
        'weakens TLS',
      ),
  },
  {
    id: 'CA-707',
    title: 'Libraries do not write down what they send.',
    severity: 'high',
    why: 'NODE_DEBUG and DEBUG print headers and commands, credentials among them, past every redaction.',
    fix: 'Unset the variable.',
    source: ['ASVS 5.0 V16.2.5', 'ASVS 5.0 V13.4.2'],
    check: ({ process }) =>
      ['NODE_DEBUG', 'DEBUG', 'NODE_DEBUG_NATIVE'].flatMap((name) =>
        place(`env:${name}`, (process.variables.get(name) ?? '') !== '', 'lets libraries print what they send'),
      ),
  },
  {
    id: 'CA-708',
    title: 'Node.js is one that still gets fixes.',
    severity: 'high',
    why: 'Holes of older releases are known, and some drop header lines that a check must see.',
    fix: 'Install the latest release of Node.js 24 or 26.',
    source: ['ASVS 5.0 V15.2.1', 'OWASP MCP04'],
    check: ({ process: { nodeVersion } }) =>
      place('Node.js', isOld(nodeVersion), `is ${nodeVersion}; 24.21.0 and 26.0.0 are the oldest that will do`),
  },
  {
    id: 'CA-709',
    title: 'It does not run as root.',
    severity: 'medium',
    why: 'Whatever breaks out of the server then has the machine.',
    fix: 'Run it as a user of its own that owns the data folder alone.',
    source: ['ASVS 5.0 V13.2.2', 'Docker cheat sheet'],
    check: ({ process: { user } }) => place('the process', user === 0, 'runs as root'),
  },
  {
    id: 'CA-710',
    title: 'Nothing is loaded before the server.',
    severity: 'medium',
    why: 'Code that comes first sees every secret and can replace every check.',
    fix: 'Start without --require, --import and --loader, NODE_OPTIONS included; keep those that you know and need.',
    source: ['OWASP MCP04', 'ASVS 5.0 V15.2.3'],
    check: (facts) =>
      flagged(facts, /^(?:--(?:require|import|loader|experimental-loader)|-r)(?:=|$)/, 'loads code before the server'),
  },
  {
    id: 'CA-711',
    title: 'New files are closed to others.',
    severity: 'medium',
    why: 'What tools write is as open as the umask leaves it.',
    fix: 'Set umask 077 for the service (systemd: UMask=0077).',
    source: ['ASVS 5.0 V13.3.2'],
    check: ({ process: { umask } }) =>
      place(
        'the process',
        umask !== undefined && (umask & 0o022) !== 0o022,
        `has the umask ${(umask ?? 0).toString(8).padStart(3, '0')}, with which others can change what it writes`,
      ),
  },
  {
    id: 'CA-712',
    title: 'A crash leaves no memory on the disk.',
    severity: 'low',
    why: 'A core holds every secret of the process.',
    fix: 'Set ulimit -c 0 for the service (systemd: LimitCORE=0).',
    source: ['ASVS 5.0 V13.4.2', 'ASVS 5.0 V14.2.7'],
    check: ({ process: { coreBytesMax } }) => place('the process', (coreBytesMax ?? 0) > 0, 'may leave a core behind'),
  },
  {
    id: 'CA-713',
    title: 'NODE_ENV is not that of development.',
    severity: 'low',
    why: 'Libraries tell more in their errors, and check less, when they believe to be in development.',
    fix: 'Set NODE_ENV=production for the service.',
    source: ['ASVS 5.0 V13.4.2'],
    check: ({ process }) =>
      place(
        'env:NODE_ENV',
        ['development', 'test'].includes(process.variables.get('NODE_ENV') ?? ''),
        'is not production',
      ),
  },
  {
    id: 'CA-714',
    title: 'The size of a request head stays bounded.',
    severity: 'low',
    why: '--max-http-header-size raises what every connection of other servers and clients in the process may keep.',
    fix: 'Start without it, NODE_OPTIONS included.',
    source: ['ASVS 5.0 V15.2.2'],
    check: (facts) =>
      facts.process.flags.some((flag) => Number(/^--max-http-header-size=([0-9]+)$/.exec(flag)?.[1]) > 65_536)
        ? flagged(facts, /^--max-http-header-size=/, 'takes heads beyond 64 KiB')
        : [],
  },
]

function isOld(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  if (major > Math.max(...leastOfLine.keys())) return false
  const least = leastOfLine.get(major)
  return least === undefined || minor < least[0] || (minor === least[0] && patch < least[1])
}
