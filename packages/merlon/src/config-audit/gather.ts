import { X509Certificate } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import type { Instant } from '../call.ts'
import { CatalogError } from '../catalog/catalog-error.ts'
import { loadCatalog } from '../catalog/load.ts'
import type { Examined } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { isLoopback } from '../config/values.ts'
import { permissions } from '../private-file.ts'
import type {
  CatalogFacts,
  CertificateFacts,
  DatabaseFacts,
  Facts,
  FileFacts,
  FileRole,
  KeyFacts,
  PlacedFile,
  ServiceFacts,
} from './facts.ts'
import { trackedPaths } from './git-index.ts'
import { gatherPackages } from './packages.ts'
import { gatherProcess, type ProcessSource } from './process.ts'

export interface GatherInput {
  readonly project: string
  readonly now: Instant
  readonly examined: Examined
  readonly process: ProcessSource
  /** Asks the store, without changing anything; `undefined` where there is none yet or it cannot be reached. */
  readonly store: () => Promise<StoreFacts | undefined>
}

export interface StoreFacts {
  readonly keys: readonly KeyFacts[]
  readonly operators: number
  readonly role?: DatabaseFacts['role']
}

/** Looks at everything once. It writes nothing; loading the catalog runs the project's own files, as `merlon build` does. */
export async function gather({ project, now, examined, process, store }: GatherInput): Promise<Facts> {
  const { config, problems, cautions, secrets } = examined
  const sound = problems.length === 0
  const files = gatherFiles(project, config)
  const certificate = gatherCertificate(project, config)
  const packages = gatherPackages(project)
  // With settings that are refused there is nothing to open: the store may be another than the one that was meant.
  const stored = sound ? await store() : undefined
  const database = serviceOf(secrets.databaseUrl, 'store.databaseUrl', examined)
  const redis = serviceOf(secrets.redisUrl, 'store.redisUrl', examined)
  return {
    now,
    config,
    said: [...problems, ...cautions],
    whereOf: (path) => examined.whereOf(path),
    process: gatherProcess(process, secrets),
    files,
    catalog: await gatherCatalog(resolve(project, config.catalog.folder)),
    ...(packages === undefined ? {} : { packages }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(database === undefined ? {} : { database: { ...database, role: stored?.role } }),
    ...(redis === undefined ? {} : { redis }),
    ...(stored === undefined ? {} : { keys: stored.keys, operators: stored.operators }),
  }
}

function gatherFiles(project: string, config: Config): FileFacts {
  const folder = resolve(project, config.store.folder)
  const audit = config.audit.file === undefined ? join(folder, 'audit.jsonl') : resolve(project, config.audit.file)
  const wanted: readonly (readonly [FileRole, string | undefined])[] = [
    ['project folder', project],
    ['catalog folder', resolve(project, config.catalog.folder)],
    ['configuration', join(project, 'merlon.config.json')],
    ['configuration', join(project, 'dynemcp.config.json')],
    ['environment file', join(project, '.env')],
    ['data folder', folder],
    ['root key', join(folder, 'root.key')],
    ['database', join(folder, 'merlon.db')],
    ...besideDatabase(folder).map((path) => ['file beside the database', path] as const),
    ['audit log', audit],
    ['private key', config.tls.keyPath && resolve(project, config.tls.keyPath)],
  ]
  const placed = wanted.flatMap(([role, path]) => (path === undefined ? [] : placedFile(project, role, path)))
  const secret: ReadonlySet<FileRole> = new Set([
    'environment file',
    'root key',
    'database',
    'audit log',
    'private key',
  ])
  const paths = wanted.flatMap(([role, path]) => (secret.has(role) && path !== undefined ? [path] : []))
  const repository = repositoryOf(project)
  const followed = repository === undefined ? undefined : trackedPaths(join(repository, '.git', 'index'))
  return {
    placed,
    tracked:
      repository === undefined || followed === undefined
        ? undefined
        : paths
            .filter((path) => followed.has(relative(repository, path).split(sep).join('/')))
            .map((path) => shown(project, path)),
    ignored: repository === undefined ? undefined : ignoreLines(repository, project),
    freeBytes: freeBytes(existsSync(folder) ? folder : project),
  }
}

function besideDatabase(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name !== 'merlon.db' && name.startsWith('merlon.db'))
      .map((name) => join(folder, name))
  } catch {
    return []
  }
}

function placedFile(project: string, role: FileRole, path: string): readonly PlacedFile[] {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return []
  return [
    {
      role,
      path: shown(project, path),
      kind: found.isFile() ? 'file' : found.isDirectory() ? 'folder' : 'other',
      mode: permissions(found),
      owner: found.uid,
      changedAt: found.mtimeMs,
      bytes: found.size,
      // A project that lies there as a whole is a trial of somebody who knows it.
      temporary: within(tmpdir(), path) && !within(tmpdir(), project),
    },
  ]
}

function within(folder: string, path: string): boolean {
  const way = relative(folder, path)
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

/** From the project folder where it lies in it, so that a report can be shown to others. */
function shown(project: string, path: string): string {
  if (path === project) return '.'
  return within(project, path) ? relative(project, path).split(sep).join('/') : path
}

/** The folder that holds `.git`, upwards from the project. */
function repositoryOf(project: string): string | undefined {
  for (let folder = project; ; folder = dirname(folder)) {
    const git = lstatSync(join(folder, '.git'), { throwIfNoEntry: false })
    if (git?.isDirectory() === true) return folder
    if (dirname(folder) === folder) return undefined
  }
}

function ignoreLines(repository: string, project: string): readonly string[] {
  const lines: string[] = []
  for (let folder = project; ; folder = dirname(folder)) {
    lines.push(...linesOf(join(folder, '.gitignore')))
    if (folder === repository || dirname(folder) === folder) return lines
  }
}

function linesOf(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8')
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'))
  } catch {
    return []
  }
}

function freeBytes(folder: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  } catch {
    return undefined
  }
}

function gatherCertificate(project: string, { tls, server }: Config): CertificateFacts | undefined {
  if (tls.certificatePath === undefined) return undefined
  const path = resolve(project, tls.certificatePath)
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(readFileSync(path))
  } catch {
    // A certificate that cannot be read stops the start in words of its own.
    return undefined
  }
  const { publicKey } = certificate
  const { modulusLength, namedCurve } = publicKey.asymmetricKeyDetails ?? {}
  const host = server.publicUrl === undefined ? undefined : new URL(server.publicUrl).hostname
  const name = host?.replace(/^\[|\]$/g, '')
  return {
    path: shown(project, path),
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
    key: {
      kind: publicKey.asymmetricKeyType ?? 'unknown',
      bits: modulusLength ?? Number(/[0-9]{3}/.exec(namedCurve ?? '256')?.[0] ?? 256),
    },
    selfSigned: certificate.issuer === certificate.subject,
    namesPublicHost:
      name === undefined || isLoopback(name)
        ? undefined
        : (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined,
  }
}

/** The service that an address names. The address itself, with its password, goes no further. */
export function serviceOf(
  address: string | undefined,
  path: string,
  { origins }: Pick<Examined, 'origins'>,
): ServiceFacts | undefined {
  if (address === undefined || !URL.canParse(address)) return undefined
  const url = new URL(address)
  const query = url.searchParams
  const host = query.get('host') ?? url.hostname
  const mode = query.get('sslmode') ?? ''
  const secure = url.protocol === 'rediss:'
  const encrypted =
    secure ||
    ['1', 'true'].includes(query.get('ssl') ?? '') ||
    ['prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'].includes(mode)
  const verified = secure || ['prefer', 'require', 'verify-ca', 'verify-full', ''].includes(mode)
  return {
    path,
    where: origins.get(path) ?? `env:${path}`,
    remote: host !== '' && !host.startsWith('/') && !isLoopback(host.replace(/^\[|\]$/g, '')),
    encrypted,
    verified,
    password: url.password !== '' || query.has('password') || query.has('sslcert'),
  }
}

async function gatherCatalog(folder: string): Promise<CatalogFacts> {
  try {
    const { tools, resources, templates, prompts } = await loadCatalog(folder)
    return {
      problem: undefined,
      tools: tools.map(({ name, requirement, scopeNamed, listing }) => {
        const { description, annotations, inputSchema } = JSON.parse(listing)
        const scope = scopeOf(requirement)
        return { name, scope, scopeNamed, description, annotations: annotations ?? {}, inputSchema: inputSchema ?? {} }
      }),
      others: [...resources, ...templates, ...prompts].map(({ name, requirement, listing }) => ({
        name,
        description: String(JSON.parse(listing).description ?? ''),
        scope: scopeOf(requirement),
      })),
    }
  } catch (error) {
    if (!(error instanceof CatalogError)) throw error
    const [first = '', ...more] = error.message.split('\n')
    const rest = more.length === 0 ? '' : `, and ${more.length} more`
    return { problem: `${first}${rest}`, tools: [], others: [] }
  }
}

function scopeOf(requirement: { readonly scope: string } | 'authenticated'): string {
  return requirement === 'authenticated' ? 'read' : requirement.scope
}
