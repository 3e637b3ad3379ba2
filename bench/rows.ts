import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { prepareMerlon, prepareMerlonRedis, prepareMerlonToken } from './merlon-project.ts'
import type { Target } from './requests.ts'
import { copyProject, home, type Prepared } from './work-folder.ts'

/** One line of the table. */
export interface Row {
  readonly name: string
  readonly says: string
  /** A row that cannot start makes the run invalid if it is ours, and is left out with the reason if it is a peer's. */
  readonly ours: boolean
  readonly target: Omit<Target, 'port' | 'key'>
  /** The media type that answers must have. */
  readonly type: 'application/json' | 'text/event-stream'
  /** The row of the official SDK v2 that does the same work. */
  readonly against?: string
  /** The row that this one must cost as much as. */
  readonly flatAgainst?: string
  /** How much more than that it may cost. Default 1.15. */
  readonly flatMax?: number
  /** What to hold open to measure its memory. */
  readonly holds?: readonly ('sessions' | 'streams')[]
  readonly heavy?: boolean
  prepare(): Promise<Prepared>
}

/** A port that was free a moment ago, for servers that must be told one. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

const stateless = { path: '/mcp', revision: '2026-07-28', session: false, tool: 'echo', progress: false } as const
const stateful = { path: '/mcp', revision: '2025-11-25', session: true, tool: 'echo', progress: false } as const
const streaming = { tool: 'echo-progress', progress: true } as const
const json = 'application/json'
const stream = 'text/event-stream'

function script(name: string, ...args: string[]): () => Promise<Prepared> {
  return async () => ({ argv: [join(home, 'peers', name), ...args], cwd: join(home, 'peers') })
}

async function prepareFastmcp(): Promise<Prepared> {
  const folder = join(home, 'peers')
  return { argv: [join(folder, 'fastmcp.mjs')], cwd: folder, env: { PORT: String(await freePort()) } }
}

async function prepareMcpFramework(): Promise<Prepared> {
  const project = copyProject(join(home, 'peers', 'mcp-framework'), 'mcp-framework')
  // It knows a schema only by the classes of its own zod, version 3, which its projects are meant to depend on.
  mkdirSync(join(project, 'node_modules'))
  symlinkSync(join(home, 'node_modules', 'mcp-framework', 'node_modules', 'zod'), join(project, 'node_modules', 'zod'))
  return { argv: [join(project, 'server.mjs')], cwd: project, env: { PORT: String(await freePort()) } }
}

async function prepareXmcp(): Promise<Prepared> {
  const project = copyProject(join(home, 'peers', 'xmcp'), 'xmcp')
  // What it builds is CommonJS, which the folder above, being ESM, would not let run.
  writeFileSync(join(project, 'package.json'), '{ "name": "bench-xmcp", "private": true }\n')
  // The port is compiled in; one in the environment would be ignored.
  const file = join(project, 'xmcp.config.json')
  const config = JSON.parse(readFileSync(file, 'utf8')) as { http: Record<string, unknown> }
  writeFileSync(file, JSON.stringify({ ...config, http: { ...config.http, port: await freePort() } }))
  const cli = join(home, 'node_modules', 'xmcp', 'dist', 'cli.js')
  execFileSync(process.execPath, [cli, 'build'], { cwd: project, stdio: 'pipe', timeout: 60_000 })
  return { argv: [join(project, 'dist', 'http.js')], cwd: project }
}

const merlon = { ours: true, type: json, target: stateless, against: 'sdk-v2' } as const

export const rows: readonly Row[] = [
  {
    name: 'raw',
    says: 'node:http, parse and answer, nothing checked',
    ours: true,
    target: stateless,
    type: json,
    prepare: script('raw.mjs'),
  },
  {
    ...merlon,
    name: 'merlon',
    says: 'Merlon, everything on, 2026-07-28, JSON',
    holds: ['streams'],
    prepare: () => prepareMerlon('merlon', {}),
  },
  {
    ...merlon,
    name: 'merlon-stream',
    says: 'Merlon, everything on, 2026-07-28, one progress and the result as a stream',
    target: { ...stateless, ...streaming },
    type: stream,
    against: 'sdk-v2-stream',
    prepare: () => prepareMerlon('merlon-stream', {}),
  },
  {
    ...merlon,
    name: 'merlon-sessions',
    says: 'Merlon, everything on, 2025-11-25 with sessions, JSON',
    target: stateful,
    against: 'sdk-v2-sessions',
    holds: ['sessions', 'streams'],
    prepare: () => prepareMerlon('merlon-sessions', {}),
  },
  {
    ...merlon,
    name: 'merlon-sessions-stream',
    says: 'Merlon, everything on, 2025-11-25 with sessions, one progress and the result as a stream',
    target: { ...stateful, ...streaming },
    type: stream,
    against: 'sdk-v2-sessions-stream',
    prepare: () => prepareMerlon('merlon-sessions-stream', {}),
  },
  {
    ...merlon,
    name: 'merlon-token',
    says: 'Merlon, as above, with an access token that it has seen before',
    flatAgainst: 'merlon',
    flatMax: 1.2,
    prepare: () => prepareMerlonToken('merlon-token'),
  },
  {
    ...merlon,
    name: 'merlon-redis',
    says: 'Merlon, as above, with all limits counted in Redis, one question a call',
    prepare: async () => prepareMerlonRedis('merlon-redis', await freePort()),
  },
  {
    ...merlon,
    name: 'merlon-10k-keys',
    says: 'Merlon, as above, with 10,000 keys in the store',
    flatAgainst: 'merlon',
    prepare: () => prepareMerlon('merlon-10k-keys', { keys: 10_000 }),
  },
  {
    ...merlon,
    name: 'merlon-1m-keys',
    says: 'Merlon, as above, with 1,000,000 keys in the store',
    flatAgainst: 'merlon',
    heavy: true,
    prepare: () => prepareMerlon('merlon-1m-keys', { keys: 1_000_000 }),
  },
  {
    ...merlon,
    name: 'merlon-10k-tools',
    says: 'Merlon, as above, with 10,000 tools',
    flatAgainst: 'merlon',
    prepare: () => prepareMerlon('merlon-10k-tools', { tools: 10_000 }),
  },
  {
    name: 'sdk-v2',
    says: 'official SDK v2, nothing on, 2026-07-28, JSON',
    ours: false,
    target: stateless,
    type: json,
    holds: ['streams'],
    prepare: script('sdk-v2.mjs'),
  },
  {
    name: 'sdk-v2-stream',
    says: 'official SDK v2, nothing on, 2026-07-28, one progress and the result as a stream',
    ours: false,
    target: { ...stateless, ...streaming },
    type: stream,
    prepare: script('sdk-v2.mjs'),
  },
  {
    name: 'sdk-v2-sessions',
    says: 'official SDK v2, nothing on, 2025-11-25 with sessions, JSON',
    ours: false,
    target: stateful,
    type: json,
    holds: ['sessions', 'streams'],
    prepare: script('sdk-v2-sessions.mjs', 'json'),
  },
  {
    name: 'sdk-v2-sessions-stream',
    says: 'official SDK v2, nothing on, 2025-11-25 with sessions, one progress and the result as a stream',
    ours: false,
    target: { ...stateful, ...streaming },
    type: stream,
    prepare: script('sdk-v2-sessions.mjs', 'stream'),
  },
  {
    name: 'sdk-v1-sessions-stream',
    says: 'official SDK v1 on Express, nothing on, 2025-11-25 with sessions, stream',
    ours: false,
    target: stateful,
    type: stream,
    holds: ['sessions', 'streams'],
    against: 'sdk-v2-sessions-stream',
    prepare: script('sdk-v1.mjs', 'stateful'),
  },
  {
    name: 'sdk-v1',
    says: 'official SDK v1 on Express, nothing on, 2025-11-25 without sessions, JSON',
    ours: false,
    target: { ...stateful, session: false },
    type: json,
    against: 'sdk-v2',
    prepare: script('sdk-v1.mjs', 'stateless'),
  },
  {
    name: 'fastmcp',
    says: 'fastmcp, nothing on, 2025-11-25 with sessions, stream',
    ours: false,
    target: stateful,
    type: stream,
    against: 'sdk-v2-sessions-stream',
    prepare: prepareFastmcp,
  },
  {
    name: 'mcp-framework',
    says: 'mcp-framework, nothing on, 2025-11-25 with sessions, stream',
    ours: false,
    target: stateful,
    type: stream,
    against: 'sdk-v2-sessions-stream',
    prepare: prepareMcpFramework,
  },
  {
    name: 'xmcp',
    says: 'xmcp, nothing on, 2026-07-28, JSON',
    ours: false,
    target: stateless,
    type: json,
    against: 'sdk-v2',
    prepare: prepareXmcp,
  },
]
