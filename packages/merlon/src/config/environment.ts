import { openToOthers } from '../private-file.ts'
import type { EnvFile } from './env-file.ts'
import { nearest } from './near.ts'
import type { Problem } from './problem.ts'
import type { SecretPath } from './secrets.ts'
import { type Setting, settingsByEnvironment } from './settings.ts'

/** A variable and where it was found: `env:NAME` for the process, `.env:NAME` for the file. */
export interface Variable {
  readonly value: string
  readonly origin: string
}
export type Environment = ReadonlyMap<string, Variable>

/** Names that hosts and projects set by custom and that need no prefix. They yield to the MERLON_ name of the same setting. */
export const plainNames: ReadonlyMap<string, string> = new Map([
  ['HOST', 'server.host'],
  ['PORT', 'server.port'],
  ['HTTPS_PORT', 'tls.port'],
  ['SSL_CERT_PATH', 'tls.certificatePath'],
  ['SSL_KEY_PATH', 'tls.keyPath'],
])

/** Names under which a secret is looked for when the configuration names no other. */
export const secretNames: ReadonlyMap<string, SecretPath> = new Map([
  ['ENCRYPTION_KEY', 'secrets.rootKey'],
  ['ENCRYPTION_KEY_NEXT', 'secrets.rootKeyNext'],
  ['API_KEY_SECRET', 'secrets.apiKeyPepper'],
  ['DATABASE_URL', 'store.databaseUrl'],
  ['REDIS_URL', 'store.redisUrl'],
])

/** What such a name ends in where it gives the path of a file with the secret, as container engines mount them. */
export const fileSuffix = '_FILE'

/** Names that other servers of this kind know and that mean nothing here. Being set, they earn a warning instead of silence. */
const unusedNames: ReadonlyMap<string, string> = new Map([
  ['JWT_SECRET', 'tokens are signed with a key pair that the server makes and keeps; no secret signs them'],
])

/** Credentials that the command line is given: for a control plane elsewhere, and for a pipe. No settings. */
export const credentialNames: ReadonlySet<string> = new Set(['MERLON_CONTROL_KEY', 'MERLON_TOKEN', 'MERLON_API_KEY'])

const secretLike = /(?:SECRET|KEY|TOKEN|PASSWORD|PASSPHRASE|CREDENTIALS?)$|^(?:DATABASE|REDIS)_URL$/

/** The process's environment over that of `.env`. */
export function mergeEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  file: EnvFile | undefined,
): Environment {
  const merged = new Map<string, Variable>()
  for (const { name, value } of file?.entries ?? []) merged.set(name, { value, origin: `.env:${name}` })
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined) merged.set(name, { value, origin: `env:${name}` })
  }
  return merged
}

/** A `.env` that holds secrets and that others may read is refused: a secret that was readable is no longer one. */
export function* envFileProblems(file: EnvFile, mode: number): Generator<Problem> {
  for (const { line, says } of file.problems) {
    yield { where: `.env:${line}`, path: '', says: `the line ${says}`, fix: 'Write NAME=value on one line' }
  }
  if (openToOthers(mode) && file.entries.some(({ name }) => secretLike.test(name))) {
    yield {
      where: '.env',
      path: '',
      says: 'it holds secrets and other users can read it',
      fix: 'Run chmod 600 .env',
      rule: 'CA-602',
    }
  }
}

export function* unusedWarnings(environment: Environment): Generator<string> {
  for (const [name, why] of unusedNames) {
    const variable = environment.get(name)
    if (variable !== undefined) yield `${variable.origin}: ${name} is not used: ${why}`
  }
  for (const { value, origin } of environment.values()) {
    const name = origin.slice(origin.indexOf(':') + 1)
    if (!origin.startsWith('.env:') || secretNames.has(name) || unusedNames.has(name) || value === '') continue
    if (name.endsWith(fileSuffix) && secretNames.has(name.slice(0, -fileSuffix.length))) continue
    const near = nearest(
      name,
      [...secretNames.keys(), ...unusedNames.keys()].filter((known) => known.length > 9),
    )
    if (near !== undefined) yield `${origin}: ${name} is not used; did you mean ${near}?`
  }
}

/** What the environment sets, as values of the schema's kinds; an unknown MERLON_ name is a problem. */
export function readEnvironment(
  environment: Environment,
  referenced: ReadonlySet<string>,
): { set: { setting: Setting; value: unknown; origin: string }[]; problems: Problem[] } {
  const set: { setting: Setting; value: unknown; origin: string }[] = []
  const problems: Problem[] = []
  for (const [name, { value, origin }] of environment) {
    if (!name.startsWith('MERLON_') || referenced.has(name) || credentialNames.has(name)) continue
    const setting = settingsByEnvironment.get(name)
    if (setting === undefined) {
      const near = nearest(name, settingsByEnvironment.keys())
      const fix =
        near === undefined ? 'Unset it; a variable for your tools needs another prefix' : `Did you mean ${near}?`
      problems.push({ where: origin, path: '', says: 'there is no such setting', fix })
      continue
    }
    const read = parseVariable(setting, value)
    if (read === undefined) problems.push({ where: origin, path: setting.path, says: `takes ${setting.takes}` })
    else set.push({ setting, value: read, origin })
  }
  return { set, problems }
}

/** Lists are separated by commas, and the empty text is the empty list, which denies. */
export function parseVariable(setting: Setting, text: string): unknown {
  switch (setting.kind) {
    case 'number':
      return /^-?[0-9]{1,15}(?:\.[0-9]{1,6})?$/.test(text) ? Number(text) : undefined
    case 'yes-no':
      return text === 'true' ? true : text === 'false' ? false : undefined
    case 'list':
      return text.trim() === '' ? [] : text.split(',').map((entry) => entry.trim())
    case 'text':
      return text === '' ? undefined : text
    case 'map':
      return undefined
  }
}
