import { examineConfig } from '../config/load.ts'
import type { ConfigInput } from '../config/schema.ts'
import type {
  CertificateFacts,
  DatabaseFacts,
  Facts,
  FileFacts,
  KeyFacts,
  PlacedFile,
  ServiceFacts,
  ToolFacts,
} from './facts.ts'

export const now = Date.parse('2026-07-28T12:00:00Z')
export const day = 86_400_000

/** What a test says of the facts; the rest is as a sound installation has it. */
export interface FactsGiven {
  readonly config?: ConfigInput
  /** Instead of `config`: the text of the configuration file. */
  readonly text?: string
  readonly mode?: number
  readonly env?: Readonly<Record<string, string>>
  readonly files?: Readonly<Record<string, { readonly text: string; readonly mode?: number }>>
  readonly process?: Partial<Facts['process']>
  readonly placed?: readonly (Partial<PlacedFile> & Pick<PlacedFile, 'role'>)[]
  readonly repository?: Partial<FileFacts>
  readonly certificate?: Partial<CertificateFacts>
  readonly database?: Partial<DatabaseFacts>
  readonly redis?: Partial<ServiceFacts>
  readonly tools?: readonly (Partial<ToolFacts> & Pick<ToolFacts, 'name'>)[]
  readonly others?: NonNullable<Facts['catalog']>['others']
  readonly catalogProblem?: string
  readonly keys?: readonly Partial<KeyFacts>[]
  readonly operators?: number
  readonly packages?: Partial<NonNullable<Facts['packages']>>
}

/** Facts as they are gathered: the settings really go through the loader. */
export function factsOf(given: FactsGiven): Facts {
  const files = new Map<string, { readonly text: string; readonly mode: number }>([
    [
      '/project/merlon.config.json',
      { text: given.text ?? JSON.stringify(given.config ?? {}), mode: given.mode ?? 0o600 },
    ],
    ...Object.entries(given.files ?? {}).map(
      ([name, { text, mode = 0o600 }]) => [`/project/${name}`, { text, mode }] as const,
    ),
  ])
  const examined = examineConfig({
    project: '/project',
    env: given.env ?? {},
    files: { read: (path) => files.get(path) },
  })
  const { certificate, database, redis, keys, packages, repository } = given
  return {
    now,
    config: examined.config,
    said: [...examined.problems, ...examined.cautions],
    whereOf: (path) => examined.whereOf(path),
    process: {
      nodeVersion: '24.21.0',
      flags: [],
      variables: new Map(),
      secretVariables: [],
      user: 1_000,
      umask: 0o027,
      coreBytesMax: 0,
      ...given.process,
    },
    files: {
      placed: (given.placed ?? []).map((file) => ({
        path: `.merlon/${file.role}`,
        kind: /folder/.test(file.role) ? 'folder' : 'file',
        mode: /folder/.test(file.role) ? 0o700 : 0o600,
        owner: 1_000,
        changedAt: now - day,
        bytes: 1_024,
        temporary: false,
        ...file,
      })),
      tracked: undefined,
      ignored: undefined,
      freeBytes: 1e12,
      ...repository,
    },
    catalog: {
      problem: given.catalogProblem,
      tools: (given.tools ?? []).map((tool) => ({
        scope: 'write',
        scopeNamed: true,
        description: 'Does it.',
        annotations: {},
        inputSchema: { type: 'object', properties: {}, additionalProperties: false },
        ...tool,
      })),
      others: given.others ?? [],
    },
    ...(certificate && {
      certificate: {
        path: 'chain.pem',
        notBefore: now - 30 * day,
        notAfter: now + 60 * day,
        key: { kind: 'ec', bits: 256 },
        selfSigned: false,
        namesPublicHost: true,
        ...certificate,
      },
    }),
    ...(database && {
      database: {
        ...service('store.databaseUrl'),
        role: { superuser: false, bypassesRowSecurity: false },
        ...database,
      },
    }),
    ...(redis && { redis: { ...service('store.redisUrl'), ...redis } }),
    ...(keys && {
      keys: keys.map((key) => ({
        id: 'key_a1',
        name: 'laptop',
        tenant: 'default',
        owner: 'usr_a1',
        scopes: ['read'],
        createdAt: now - 10 * day,
        expiresAt: now + 70 * day,
        lastUsedAt: now - day,
        ...key,
      })),
    }),
    ...(given.operators === undefined ? {} : { operators: given.operators }),
    ...(packages && {
      packages: {
        lockfile: 'package-lock.json',
        asked: [],
        locked: [],
        ignoresScripts: true,
        dockerfile: undefined,
        dockerIgnored: [],
        ...packages,
      },
    }),
  }
}

const service = (path: string): ServiceFacts => ({
  path,
  where: '.env:URL',
  remote: true,
  encrypted: true,
  verified: true,
  password: true,
})
