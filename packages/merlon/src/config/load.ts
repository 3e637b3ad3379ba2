import { statSync } from 'node:fs'
import { join } from 'node:path'
import { isPlaceholder } from '../sealing/key-material.ts'
import {
  type Environment,
  fileSuffix,
  mergeEnvironment,
  parseVariable,
  plainNames,
  readEnvironment,
  secretNames,
  unusedWarnings,
} from './environment.ts'
import { type ConfigFiles, diskFiles } from './files.ts'
import { ConfigError, type Problem, problemLine, saidOf } from './problem.ts'
import { rules } from './rules.ts'
import { type Config, configSchema } from './schema.ts'
import { makeSecrets } from './secret-value.ts'
import { resolveSecret, type SecretPath, Secrets, secretPaths, secretPathsOf, secretProblem } from './secrets.ts'
import { settings } from './settings.ts'
import { dotted, isObject, readEnvFile, readSource, type Source } from './source.ts'

export interface LoadedConfig {
  /** Complete, checked, frozen to its depth. */
  readonly config: Config
  /** Where each setting came from, by dotted path: `default`, a file's name, `env:NAME`, `.env:NAME`. */
  readonly origins: ReadonlyMap<string, string>
  readonly warnings: readonly string[]
  readonly secrets: Secrets
}

export interface LoadInput {
  /** The project folder. */
  readonly project: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly files?: ConfigFiles
}

/** The settings as far as they can be read, with all that is wrong with them. */
export interface Examined extends LoadedConfig {
  /** Each stops the start. What they spoke of stands at its default in `config`. */
  readonly problems: readonly Problem[]
  /** What the rules only warn of. */
  readonly cautions: readonly Problem[]
  /** Where the setting at a dotted path was given: `merlon.config.json:4`, `env:NAME`, `default`. */
  whereOf(path: string): string
}

/**
 * Reads the settings of a project: defaults, then the file, then the environment, the later over the earlier.
 * Throws a ConfigError that holds every problem at once. No problem, warning or origin quotes a secret.
 */
export function loadConfig(input: LoadInput): LoadedConfig {
  const { config, origins, warnings, secrets, problems } = examineConfig(input)
  if (problems.length > 0) throw new ConfigError(problems)
  return Object.freeze({ config, origins, warnings, secrets })
}

/** The same, for whoever wants to look at settings that cannot be used. Throws only where nothing could be read at all. */
export function examineConfig({ project, env, files = diskFiles }: LoadInput): Examined {
  if (files === diskFiles && statSync(project, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new ConfigError([{ where: project, path: '', says: 'there is no such folder', fix: 'Check --project' }])
  }
  const problems: Problem[] = []
  const cautions: Problem[] = []
  const warnings: string[] = []

  const envFile = readEnvFile(join(project, '.env'), files, problems)
  const environment = mergeEnvironment(env, envFile)
  const source = readSource(project, files, problems, warnings)
  const draft = new Draft(source)
  applyEnvironment(draft, environment, problems)
  warnings.push(...unusedWarnings(environment))

  const parsed = parseDraft(draft, problems)
  if (parsed === undefined) throw new ConfigError(problems)
  const { config, unsound } = parsed

  const findings = rules.flatMap((rule) =>
    rule.check(config).map((finding) => ({ ...finding, severity: rule.severity, rule: rule.id })),
  )
  for (const { paths, says, fix, severity, rule } of findings) {
    // A rule that looked at a setting already refused has looked at a value that nobody gave.
    if (paths.some((path) => unsound.some((refused) => overlap(path, refused)))) continue
    const given = paths.find((path) => draft.originOf(path.split('.')) !== 'default') ?? paths[0]
    const problem = { where: draft.whereOf(given.split('.')), path: draft.nameOf(paths[0].split('.')), says, fix, rule }
    if (severity === 'error') problems.push(problem)
    else {
      cautions.push(problem)
      warnings.push(problemLine(problem))
    }
  }

  const secrets = readSecrets({ config, draft, environment, project, files }, problems)
  return Object.freeze({
    config: deepFreeze(config),
    origins: originsOf(draft),
    warnings: Object.freeze(warnings),
    secrets,
    problems: Object.freeze(problems),
    cautions: Object.freeze(cautions),
    whereOf: (path: string) => draft.whereOf(path.split('.')),
  })
}

/** The settings as given so far, with the origin of each. */
class Draft {
  readonly input: Record<string, unknown>
  readonly #source: Source | undefined
  readonly #origins = new Map<string, string>()

  constructor(source: Source | undefined) {
    this.#source = source
    this.input = structuredClone(source?.input ?? {})
  }

  has(segments: readonly string[]): boolean {
    return this.#get(segments) !== undefined
  }

  #get(segments: readonly string[]): unknown {
    return segments.reduce<unknown>(
      (node, key) => (isObject(node) && Object.hasOwn(node, key) ? node[key] : undefined),
      this.input,
    )
  }

  set(segments: readonly string[], value: unknown, origin: string): void {
    let node = this.input
    for (const key of segments.slice(0, -1)) {
      const inner = node[key]
      // A section of the wrong type is a problem of the file; the schema reports it, so it stays as it is.
      if (inner !== undefined && !isObject(inner)) return
      node[key] = inner ?? {}
      node = node[key] as Record<string, unknown>
    }
    node[segments.at(-1)!] = value
    this.#origins.set(segments.join('.'), origin)
  }

  /** Takes away what the schema refused, so that the rest can still be looked at: of a list, the whole list. */
  remove(path: readonly PropertyKey[]): void {
    const keys = path.map(String)
    const list = keys.findIndex((_, at) => Array.isArray(this.#get(keys.slice(0, at))))
    const refused = list === -1 ? keys : keys.slice(0, list)
    const parent = this.#get(refused.slice(0, -1))
    const last = refused.at(-1)
    if (isObject(parent) && last !== undefined) delete parent[last]
  }

  originOf(segments: readonly PropertyKey[]): string {
    for (let length = segments.length; length > 0; length--) {
      const origin = this.#origins.get(segments.slice(0, length).join('.'))
      if (origin !== undefined) return origin
    }
    return this.#source !== undefined && this.has(segments.map(String)) ? this.#source.file : 'default'
  }

  /** The origin, with the line where it is in a file. */
  whereOf(segments: readonly PropertyKey[]): string {
    const origin = this.originOf(segments)
    const source = this.#source
    if (origin !== 'default' && origin !== source?.file) return origin
    if (source === undefined) return 'default'
    const line = source.json.lineOf(source.pathOf(segments))
    return line === undefined ? source.file : `${source.file}:${line}`
  }

  /** The path as the reader of the file knows it. */
  nameOf(segments: readonly PropertyKey[]): string {
    const source = this.#source
    const path = source !== undefined && this.originOf(segments) === source.file ? source.pathOf(segments) : segments
    return dotted(path)
  }
}

function applyEnvironment(draft: Draft, environment: Environment, problems: Problem[]): void {
  for (const [name, path] of secretNames) applySecretName(draft, environment, { name, path, problems })
  for (const [name, path] of plainNames) {
    const variable = environment.get(name)
    if (variable === undefined) continue
    const setting = settings.find((one) => one.path === path)!
    const value = parseVariable(setting, variable.value)
    if (value === undefined) problems.push({ where: variable.origin, path, says: `takes ${setting.takes}` })
    else draft.set(setting.segments, value, variable.origin)
  }
  const { set, problems: found } = readEnvironment(environment, referencedNames(draft.input, environment))
  problems.push(...found)
  for (const { setting, value, origin } of set) draft.set(setting.segments, value, origin)
}

/** `ENCRYPTION_KEY` holds the secret, `ENCRYPTION_KEY_FILE` the path of a file with it. Both at once is one too many. */
function applySecretName(
  draft: Draft,
  environment: Environment,
  { name, path, problems }: { name: string; path: SecretPath; problems: Problem[] },
): void {
  const segments = path.split('.')
  const variable = environment.get(name)
  const file = environment.get(`${name}${fileSuffix}`)
  if (file !== undefined && file.value === '') {
    problems.push({ where: file.origin, path, says: 'takes the path of a file', fix: 'Unset it, or name the file' })
  } else if (file !== undefined && variable !== undefined) {
    const says = `is given by ${name} too, and which of the two is meant cannot be known`
    problems.push({ where: file.origin, path, says, fix: 'Unset one of them' })
  } else if (!draft.has(segments)) {
    if (file !== undefined) draft.set(segments, `file:${file.value}`, file.origin)
    else if (variable !== undefined) draft.set(segments, `env:${name}`, variable.origin)
  }
}

/** Variables that a reference names may have any name, MERLON_ ones included. */
function referencedNames(input: Record<string, unknown>, environment: Environment): ReadonlySet<string> {
  const names = new Set<string>()
  for (const { segments, secret, environment: name } of settings) {
    if (!secret) continue
    const given = segments.reduce<unknown>((node, key) => (isObject(node) ? node[key] : undefined), input)
    for (const text of [given, name === undefined ? undefined : environment.get(name)?.value]) {
      if (typeof text === 'string' && text.startsWith('env:')) names.add(text.slice('env:'.length))
    }
  }
  for (const text of clientSecretsIn(input)) if (text.startsWith('env:')) names.add(text.slice('env:'.length))
  return names
}

function clientSecretsIn({ identity }: Record<string, unknown>): readonly string[] {
  const issuers: unknown = isObject(identity) ? identity['issuers'] : undefined
  if (!Array.isArray(issuers)) return []
  return issuers.flatMap((issuer: unknown) => {
    const introspection = isObject(issuer) ? issuer['introspection'] : undefined
    const text = isObject(introspection) ? introspection['clientSecret'] : undefined
    return typeof text === 'string' ? [text] : []
  })
}

/** The settings, with what the schema refused left at its default and named in `unsound`. */
function parseDraft(draft: Draft, problems: Problem[]): { config: Config; unsound: readonly string[] } | undefined {
  const unsound: string[] = []
  // Taking a section away can uncover nothing new, so a few rounds are enough; the bound is for the day it is not.
  for (let round = 0; round < 4; round++) {
    const parsed = configSchema.safeParse(draft.input)
    if (parsed.success) return { config: parsed.data, unsound }
    const seen = new Set<string>()
    const refused: (readonly PropertyKey[])[] = []
    for (const { path, says, fix } of parsed.error.issues.flatMap((issue) => [...saidOf(issue)])) {
      const name = dotted(path)
      if (seen.has(name)) continue
      seen.add(name)
      refused.push(path)
      unsound.push(name)
      const at = { where: draft.whereOf(path), path: draft.nameOf(path) }
      // A secret that stands in the file has been reported already, with more to the point.
      if (problems.some((known) => known.where === at.where && known.path === at.path)) continue
      const rule = ruleOf(name)
      problems.push({ ...at, says, ...(fix === undefined ? {} : { fix }), ...(rule === undefined ? {} : { rule }) })
    }
    for (const path of refused) draft.remove(path)
  }
  return undefined
}

/** The rule of the audit that a value of this setting breaks when the schema refuses it. */
function ruleOf(path: string): string | undefined {
  const secret = (secretPaths as readonly string[]).includes(path) || path.endsWith('.clientSecret')
  if (secret) return 'CA-002'
  return path.startsWith('cors.allowedOrigins.') ? 'CA-106' : undefined
}

function readSecrets(
  {
    config,
    draft,
    environment,
    project,
    files,
  }: { config: Config; draft: Draft; environment: Environment; project: string; files: ConfigFiles },
  problems: Problem[],
): Secrets {
  const texts = new Map<SecretPath, string>()
  const references = new Map<SecretPath, string>()
  for (const path of secretPathsOf(config)) {
    const reference = referenceAt(config, path)
    if (reference === undefined) continue
    references.set(path, reference)
    // In a list it stands where the list does.
    const listed = path.startsWith('identity.issuers.') ? ['identity', 'issuers'] : undefined
    const at = { where: draft.whereOf(listed ?? path.split('.')), path: listed ? path : draft.nameOf(path.split('.')) }
    const resolved = resolveSecret(reference, { project, environment, files })
    if ('says' in resolved) {
      problems.push({ ...at, ...resolved })
      continue
    }
    const problem = secretProblem(path, resolved.text)
    if (problem === undefined) texts.set(path, resolved.text)
    else problems.push({ ...at, says: `${reference} ${problem.says}`, fix: problem.fix, rule: 'CA-003' })
  }
  const env: Record<string, string> = Object.create(null)
  for (const [name, { value }] of environment) env[name] = value
  const secrets = new Secrets(texts, references, Object.freeze(env))
  const { rootKey, rootKeyNext, apiKeyPepper } = secrets
  if (apiKeyPepper !== undefined && (rootKey?.equals(apiKeyPepper) || rootKeyNext?.equals(apiKeyPepper))) {
    problems.push({
      where: draft.whereOf(['secrets', 'apiKeyPepper']),
      path: 'secrets.apiKeyPepper',
      says: 'is the root key too; one secret serves one purpose',
      fix: makeSecrets,
      rule: 'CA-005',
    })
  }
  const jwt = environment.get('JWT_SECRET')
  if (jwt !== undefined && isPlaceholder(jwt.value)) {
    const says = 'is a placeholder or a published sample'
    problems.push({ where: jwt.origin, path: '', says, fix: 'Remove it', rule: 'CA-003' })
  }
  return secrets
}

function referenceAt(config: Config, path: SecretPath): string | undefined {
  return path
    .split('.')
    .reduce<unknown>((node, key) => (isObject(node) || Array.isArray(node) ? node[key as never] : undefined), config) as
    | string
    | undefined
}

function originsOf(draft: Draft): ReadonlyMap<string, string> {
  return new Map(settings.map(({ path, segments }) => [path, draft.originOf(segments)]))
}

/** Whether one path is the other, or lies within it. */
function overlap(left: string, right: string): boolean {
  return left === right || left.startsWith(`${right}.`) || right.startsWith(`${left}.`)
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) deepFreeze(inner)
  }
  return value
}
