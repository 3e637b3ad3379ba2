import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { describe, expect, test } from 'vitest'

/*
 * Who may import whom. An arrow that is not in the table is refused; when you want a new one, change the table, and say
 * why in the commit. `x:types` lets types through and nothing that runs.
 */

/** Everyone may import these; they import nothing but each other. */
const ground = ['call.ts', 'errors.ts', 'canonical-base64.ts', 'private-file.ts', 'file-lock.ts']

/** One idea each: rules and a port. A slice knows no other; what a scope is and who may do what is shared ground. */
const slices = ['identity', 'session', 'history', 'replica', 'limit', 'policy', 'audit', 'sealing', 'watch']
const shared = ['policy/scopes.ts', 'policy/decide.ts']
/** Who may call is several ports, one for each noun. */
const identityPorts = [
  'identity/agent-store.ts',
  'identity/identity-store.ts',
  'identity/installation-store.ts',
  'identity/key-store.ts',
  'identity/reach.ts',
  'identity/second-factor-store.ts',
  'identity/sign-in-store.ts',
  'identity/signing-key-store.ts',
  'identity/subject-store.ts',
  'identity/tenant-store.ts',
  'identity/user-store.ts',
]

const table: Readonly<Record<string, readonly string[]>> = {
  'main.ts': ['cli'],
  // Local commands: they check a project, or start it.
  cli: [
    'app.ts',
    'config',
    'catalog/load.ts',
    'catalog/catalog-error.ts',
    'version.ts',
    'identity/actor.ts',
    'sealing/key-material.ts',
    'admin',
    // Without a running server a command is the control plane itself, and holds what a server would hold.
    'serve/control-parts.ts',
    'serving-lock.ts',
    'control-socket.ts',
    // A check of health names the server as the server names itself.
    'guard/own-hosts.ts',
    // Copied files are verified by whoever has them: with no server, and no installation.
    'audit/verify.ts',
    'audit/audit-reader.ts:types',
    'config-audit',
  ],
  // What a client imports. It runs where nothing of the server is, so that it names none of it.
  client: [],
  // What a project imports.
  'index.ts': ['app.ts', 'catalog', 'identity/actor.ts', 'identity/authenticator.ts', 'audit:types'],

  // The only ones that name adapters.
  // Limits that are shared are put together of two adapters.
  'app.ts': [
    'app-keys.ts',
    'app-replicas.ts',
    'app-sessions.ts',
    'config',
    'installation/installation.ts',
    'installation/login-limits.ts',
    'installation/open-audit.ts',
    'installation/open-sealing.ts:types',
    'serve/control-parts.ts',
    'serve/end-withdrawn.ts',
    'serve/serve.ts',
    'serve/serve-stdio.ts',
    'transport/stdio.ts:types',
    'serving-lock.ts',
    'every.ts',
    'store',
    'dispatch:types',
    'limit/limit-store.ts:types',
    'limit/shared-limits.ts',
    'serve/observe.ts',
    'session/session-store.ts:types',
    'version.ts',
  ],
  // The keys that seal, and what walks over all that they sealed.
  'app-keys.ts': [
    'installation/installation.ts:types',
    'installation/open-sealing.ts',
    'dispatch:types',
    'sealing:types',
    'store/sql',
  ],
  // Sessions and their history.
  'app-sessions.ts': [
    'sealing:types',
    'config:types',
    'installation/installation.ts:types',
    'dispatch:types',
    'every.ts',
    'replica',
    'store/sql',
  ],
  // The processes that share a database, and how they wake each other.
  'app-replicas.ts': ['audit:types', 'dispatch:types', 'watch:types', 'every.ts', 'replica', 'store'],
  // What is told of calls and refusals, to the record, the counts and the logs, in one place.
  'serve/observe.ts': [
    'config:types',
    'installation/installation.ts:types',
    'dispatch',
    'transport:types',
    'wire:types',
    'audit:types',
    'watch',
  ],
  'version.ts': [],
  // The log of a data folder as its settings say: writer, reader, keys, and where heads go.
  'installation/open-audit.ts': ['config:types', 'audit', 'sealing'],
  // Who may call, put together of its stores and the log; how attempts to sign in are counted comes from the limits.
  'installation/open-identity.ts': ['config:types', 'audit:types', 'guard/proxy-ranges.ts', 'identity'],
  // What issues our tokens, on the store of identity and a key of its own.
  'installation/open-tokens.ts': [
    'config:types',
    'installation/open-identity.ts:types',
    'identity',
    'sealing/seal.ts',
    'every.ts',
  ],
  // What changes the keys of what is kept sealed, and records it as every change is recorded.
  'installation/open-sealing.ts': ['identity:types', 'sealing', 'every.ts'],
  'installation/login-limits.ts': ['identity:types', 'limit/limit-store.ts'],
  'installation/installation.ts': [
    'installation/open-audit.ts',
    'installation/open-identity.ts',
    'installation/open-tokens.ts',
    'config:types',
    'audit',
    'identity',
    'policy',
    'sealing',
  ],
  // What answers calls, whatever brings them; how they come is for serve.ts and serve-stdio.ts.
  'serve/assembly.ts': [
    'config:types',
    'config/builtin-scopes.ts',
    'installation/installation.ts:types',
    'serve/credentials.ts',
    'serve/end-withdrawn.ts',
    'serve/failure-counter.ts',
    'serve/request-ids.ts',
    'every.ts',
    'guard',
    'dispatch',
    'catalog',
    'wire',
    ...slices,
  ],
  'serve/serve.ts': [
    'config:types',
    'serve/assembly.ts',
    'admin:types',
    'serve/control-parts.ts',
    'serve/serve-admin.ts',
    'serve/certificate.ts',
    'serve/listener.ts',
    'config/listening.ts',
    'serve/routes.ts',
    'serve/observe.ts',
    'transport',
    'guard',
    'catalog/watch.ts',
    'identity/dpop.ts',
    'identity/tickets.ts',
    'serve/serve-sockets.ts',
  ],
  // The same calls over a pipe. Its control plane is the socket of the data folder.
  'serve/serve-stdio.ts': [
    'serve/assembly.ts',
    'admin:types',
    'audit:types',
    'serve/control-parts.ts',
    'serve/serve-admin.ts',
    'serve/observe.ts',
    'transport',
    'guard',
    'serve/conversation.ts',
    'dispatch:types',
  ],
  // What is said over a pipe or a socket; which guards it goes through is for the two.
  'serve/conversation.ts': [
    'serve/assembly.ts:types',
    'transport',
    'guard',
    'dispatch/session-endpoints.ts',
    'dispatch:types',
  ],
  // The same calls over sockets, beside HTTP.
  'serve/serve-sockets.ts': [
    'config:types',
    'serve/assembly.ts:types',
    'serve/conversation.ts',
    'every.ts',
    'transport',
    'guard',
    'identity:types',
    'dispatch:types',
  ],
  // The table of operations, and its client. How they are reached over HTTP is for control-routes.ts.
  admin: ['control-socket.ts', 'audit', 'identity', 'policy', 'sealing', 'session', 'watch'],
  'serve/control-routes.ts': ['admin', 'transport', 'guard'],
  'control-socket.ts': [],
  'serving-lock.ts': ['control-socket.ts'],
  'serve/control-parts.ts': ['admin', 'installation/installation.ts:types', 'sealing', 'session:types'],
  'serve/serve-admin.ts': [
    'admin',
    'serve/control-routes.ts',
    'serve/listener.ts',
    'control-socket.ts',
    'serve/observe.ts',
    'config:types',
    'config/listening.ts',
    'transport',
    'guard',
    'dispatch:types',
  ],
  // What is withdrawn is known to one slice, and what was opened with it to another.
  'serve/end-withdrawn.ts': ['audit:types', 'dispatch/session-record.ts', 'identity', 'session:types'],
  'serve/credentials.ts': ['guard:types', 'identity', 'wire/json.ts'],
  // Failures are counted by one slice, and what may be one is known to another.
  'serve/failure-counter.ts': ['guard/proxy-ranges.ts', 'identity/introspection.ts:types', 'limit:types'],
  'every.ts': [],
  'serve/request-ids.ts': [],
  'serve/listener.ts': ['guard/own-hosts.ts'],
  'serve/certificate.ts': ['config:types', 'dispatch:types', 'transport', 'every.ts'],
  'serve/routes.ts': [
    'config:types',
    'transport',
    'guard',
    'dispatch',
    'identity/dpop.ts',
    'identity/signing-keys.ts',
    'identity/tickets.ts',
  ],

  transport: ['guard', 'wire'],
  guard: ['method.ts', 'catalog:types', 'wire', 'audit', 'identity', 'limit', 'policy', 'session'],
  dispatch: [
    'method.ts',
    'catalog',
    'wire',
    'audit',
    'history',
    'replica:types',
    'limit',
    'policy',
    'sealing',
    'session',
    'watch',
  ],
  'method.ts': ['catalog:types', 'policy:types'],
  catalog: shared,
  // A key in a file or a variable is held to what keys must be.
  config: ['policy/scopes.ts', 'sealing/key-material.ts'],
  // Rules over facts that were gathered; what the store knows is handed in.
  'config-audit': ['config', 'catalog/load.ts', 'catalog/catalog-error.ts', 'policy/scopes.ts'],
  wire: [],

  ...Object.fromEntries(slices.map((slice) => [slice, shared])),

  'store/memory': [
    ...identityPorts,
    'history/history-store.ts',
    'limit/limit-store.ts',
    'sealing/data-key-store.ts',
    'session/session-store.ts',
  ],
  'store/redis': ['limit/limit-store.ts', 'replica'],
  // What is kept sealed is sealed where it is written.
  'store/sql': [...identityPorts, 'history/history-store.ts', 'replica', 'sealing', 'session/session-store.ts'],
  ...Object.fromEntries(ground.map((file) => [file, []])),
}

const linesMax = 400
/** Longer than a file should be, and why. */
const long: Readonly<Record<string, string>> = {
  'errors.ts': 'one table, to be read from top to bottom',
}

const root = import.meta.dirname
const aside = /\.(?:test|test-d|contract|fixture)\.ts$|\/test-[a-z-]+\.ts$/
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .map((path) => path.split(sep).join('/'))
  .filter((path) => path.endsWith('.ts') && !aside.test(`/${path}`))
const sources = new Map(files.map((path) => [path, readFileSync(join(root, path), 'utf8')]))

/** Where each file has a row of its own: what puts parts together should say which. */
const wiring = ['installation', 'serve']

/** A folder, an adapter, a file that puts parts together, or one at the top. */
const unitOf = (path: string) =>
  path
    .split('/')
    .slice(0, ['store', ...wiring].some((folder) => path.startsWith(`${folder}/`)) ? 2 : 1)
    .join('/')

interface Arrow {
  readonly from: string
  readonly to: string
  readonly typesAlone: boolean
}

const statement =
  /^(?:import|export)\s+(?<what>(?:type\s)?[^;'"]*?from\s+)?'(?<path>\.[^']*)'|\bimport\('(?<lazy>\.[^']*)'\)/gm

function arrowsOf(from: string, text: string): readonly Arrow[] {
  return [...text.matchAll(statement)].map(({ groups = {} }) => {
    const to = relative(root, join(root, dirname(from), groups['path'] ?? groups['lazy'] ?? ''))
    const what = groups['what'] ?? ''
    const names = /^\{(?<names>[^}]*)\}\s+from\s+$/
      .exec(what)
      ?.groups?.['names']?.split(',')
      .map((name) => name.trim()) ?? ['']
    const typesAlone =
      what.startsWith('type ') || names.every((name) => name.startsWith('type ') || (name === '' && names.length > 1))
    return { from, to: to.split(sep).join('/'), typesAlone }
  })
}

const arrows = [...sources].flatMap(([path, text]) => arrowsOf(path, text))
const between = arrows.filter(({ from, to }) => unitOf(from) !== unitOf(to))

function isAllowed({ from, to, typesAlone }: Arrow): boolean {
  const targets = [...(table[unitOf(from)] ?? []), ...ground]
  return targets.some((entry) => {
    const [target = '', types] = entry.split(':')
    return (to === target || to.startsWith(`${target}/`)) && (types === undefined || typesAlone)
  })
}

/** The folders on a way back to the first, or undefined. */
function cycleFrom(start: string, edges: ReadonlyMap<string, ReadonlySet<string>>): readonly string[] | undefined {
  const seen = new Set<string>()
  const walk = (path: readonly string[]): readonly string[] | undefined => {
    for (const next of edges.get(path.at(-1)!) ?? []) {
      if (next === start) return [...path, next]
      if (seen.has(next)) continue
      seen.add(next)
      const found = walk([...path, next])
      if (found !== undefined) return found
    }
    return undefined
  }
  return walk([start])
}

describe('the arrows', () => {
  test('the reader of imports sees what is there', () => {
    const text = [
      "import type { A } from './a.ts'",
      "import { type B, type C } from '../wire/b.ts'",
      "import { type D, e } from './d.ts'",
      "import './f.ts'",
      "export * from './g.ts'",
      "import fs from 'node:fs'",
      'import {\n  type H,\n  type I,\n} from "./no.ts"',
      "import {\n  type H,\n  type I,\n} from './h.ts'",
      "const lazy = () => import('./j.ts')",
    ].join('\n')
    expect(arrowsOf('guard/x.ts', text).map(({ to, typesAlone }) => `${to} ${typesAlone}`)).toEqual([
      'guard/a.ts true',
      'wire/b.ts true',
      'guard/d.ts false',
      'guard/f.ts false',
      'guard/g.ts false',
      'guard/h.ts true',
      'guard/j.ts false',
    ])
    expect(arrows.length).toBeGreaterThan(200)
    for (const { to } of arrows) expect(sources.has(to), to).toBe(true)
  })

  test('every folder has its row, and every row its folder', () => {
    expect([...new Set(files.map(unitOf))].filter((unit) => table[unit] === undefined)).toEqual([])
    expect(Object.keys(table).filter((unit) => !files.some((path) => unitOf(path) === unit))).toEqual([])
  })

  test('nobody imports what the table does not give', () => {
    expect(
      between
        .filter((arrow) => !isAllowed(arrow))
        .map(({ from, to, typesAlone }) => `${from} → ${to}${typesAlone ? ' (types)' : ''}`),
    ).toEqual([])
  })

  test('the table gives nothing that nobody takes', () => {
    const taken = (unit: string, target = '') =>
      between.some(({ from, to }) => unitOf(from) === unit && (to === target || to.startsWith(`${target}/`)))
    const idle = Object.entries(table).flatMap(([unit, entries]) =>
      entries.filter((entry) => !taken(unit, entry.split(':')[0])).map((entry) => `${unit} → ${entry}`),
    )
    expect(idle.filter((entry) => !shared.some((file) => entry.endsWith(`→ ${file}`)))).toEqual([])
  })

  test('a slice imports no slice', () => {
    const crossing = between.filter(({ from, to }) => slices.includes(unitOf(from)) && slices.includes(unitOf(to)))
    expect(crossing.filter(({ to }) => !shared.includes(to))).toEqual([])
  })

  test('only the composition root names an adapter', () => {
    const root = ['app.ts', 'app-keys.ts', 'app-replicas.ts', 'app-sessions.ts']
    expect(between.filter(({ from, to }) => to.startsWith('store/') && !root.includes(from))).toEqual([])
  })

  test('no folder comes back to itself, not even by types', () => {
    const edges = new Map<string, Set<string>>()
    for (const { from, to } of between) edges.set(unitOf(from), (edges.get(unitOf(from)) ?? new Set()).add(unitOf(to)))
    expect([...edges.keys()].map((unit) => cycleFrom(unit, edges)).filter((cycle) => cycle !== undefined)).toEqual([])
  })
})

describe('what no file may hold', () => {
  const holding = (pattern: RegExp, where = '', but: readonly string[] = []) =>
    files.filter((path) => path.startsWith(where) && !but.includes(path) && pattern.test(sources.get(path)!))

  test('CR-08: chance that can be guessed', () => expect(holding(/\bMath\.random\b/)).toEqual([]))

  test('CR-01: a cipher without a nonce of its own', () => expect(holding(/\bcreate(?:C|Dec)ipher\(/)).toEqual([]))

  test('TR-04: the lenient reader of HTTP', () => expect(holding(/insecureHTTPParser/)).toEqual([]))

  test('text that becomes code', () => expect(holding(/\beval\(|\bnew Function\(/)).toEqual([]))

  test('OH-01: a URL parser in a guard', () => {
    // Reads the address in the configuration, at start.
    expect(holding(/\bnew URL\(|\bURL\.parse\(/, 'guard/', ['guard/own-hosts.ts'])).toEqual([])
  })

  test(`more than ${linesMax} lines`, () => {
    const over = files.filter((path) => sources.get(path)!.split('\n').length > linesMax + 1)
    expect(over.filter((path) => long[path] === undefined)).toEqual([])
    expect(Object.keys(long).filter((path) => !over.includes(path))).toEqual([])
  })
})
