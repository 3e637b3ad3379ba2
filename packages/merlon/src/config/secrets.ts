import type { KeyObject } from 'node:crypto'
import { resolve } from 'node:path'
import { inspect } from 'node:util'
import { secretOpenToOthers } from '../private-file.ts'
import { parseKeyMaterial } from '../sealing/key-material.ts'
import type { Environment } from './environment.ts'
import type { ConfigFiles } from './files.ts'
import type { Config } from './schema.ts'
import {
  clientSecretProblem,
  databaseUrlProblem,
  makeSecrets,
  redisUrlProblem,
  webhookUrlProblem,
} from './secret-value.ts'

/** The settings whose value is a reference to a secret. */
export const secretPaths = [
  'secrets.rootKey',
  'secrets.rootKeyNext',
  'secrets.apiKeyPepper',
  'store.databaseUrl',
  'store.redisUrl',
  'alerts.webhook.url',
  'alerts.webhook.secret',
] as const
/** A secret that an issuer has given us stands with the issuer, wherever in the list that is. */
export type SecretPath = (typeof secretPaths)[number] | `identity.issuers.${number}.introspection.clientSecret`

/** The settings of this configuration whose value is a reference to a secret. */
export function secretPathsOf({ identity }: Config): readonly SecretPath[] {
  const asked = identity.issuers.flatMap(({ introspection }, at): SecretPath[] =>
    introspection === undefined ? [] : [`identity.issuers.${at}.introspection.clientSecret`],
  )
  return [...secretPaths, ...asked]
}

/** What a reference leads to, or a sentence that says why it leads nowhere and does not quote it. */
export type Resolved =
  | { readonly text: string }
  | { readonly says: string; readonly fix: string; readonly rule: string }

/**
 * The secrets that the configuration refers to, read once at the start. Printed, inspected or turned to JSON it shows
 * the references alone.
 */
export class Secrets {
  readonly #texts: ReadonlyMap<SecretPath, string>
  readonly #references: ReadonlyMap<SecretPath, string>
  readonly #env: Readonly<Record<string, string>>

  constructor(
    texts: ReadonlyMap<SecretPath, string>,
    references: ReadonlyMap<SecretPath, string>,
    env: Readonly<Record<string, string>>,
  ) {
    this.#texts = texts
    this.#references = references
    this.#env = env
    Object.freeze(this)
  }

  /** From it every other key is derived. Absent: root.key in the data folder. */
  get rootKey(): KeyObject | undefined {
    return this.#key('secrets.rootKey')
  }

  /** The root key that is to take the place of the one before, while both are needed. */
  get rootKeyNext(): KeyObject | undefined {
    return this.#key('secrets.rootKeyNext')
  }

  /** Keys the digests of API keys. Absent: derived from the root key. */
  get apiKeyPepper(): KeyObject | undefined {
    return this.#key('secrets.apiKeyPepper')
  }

  /** The address of the PostgreSQL database, password included. Absent: the embedded database. */
  get databaseUrl(): string | undefined {
    return this.#texts.get('store.databaseUrl')
  }

  /** The address of the Redis that processes share limits in, password included. Absent: each process counts by itself. */
  get redisUrl(): string | undefined {
    return this.#texts.get('store.redisUrl')
  }

  /** Where alerts are posted. */
  get webhookUrl(): URL | undefined {
    const text = this.#texts.get('alerts.webhook.url')
    return text === undefined ? undefined : new URL(text)
  }

  /** Signs the notices of alerts. */
  get webhookKey(): KeyObject | undefined {
    return this.#key('alerts.webhook.secret')
  }

  /** With what the issuer that is asked about tokens knows us. Of issuers that are asked there is one at most. */
  get introspectionSecret(): string | undefined {
    for (const [path, text] of this.#texts) if (path.startsWith('identity.issuers.')) return text
    return undefined
  }

  /** The environment of the process with `.env` beneath it: what `env:NAME` is looked up in. No prototype. */
  get env(): Readonly<Record<string, string>> {
    return this.#env
  }

  /** Names of environment variables that hold a secret, so that a started server can forget them. */
  get names(): readonly string[] {
    return [...this.#references.values()].flatMap((text) => (text.startsWith('env:') ? [text.slice(4)] : []))
  }

  toJSON(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#references)
  }

  [inspect.custom](): string {
    return `Secrets ${inspect(this.toJSON())}`
  }

  #key(path: SecretPath): KeyObject | undefined {
    const text = this.#texts.get(path)
    if (text === undefined) return undefined
    const material = parseKeyMaterial(text)
    if ('says' in material) throw new Error(`${path} ${material.says}`)
    return material.key
  }
}

/** Follows `env:NAME` or `file:/path`. A relative path begins at the project folder. */
export function resolveSecret(
  reference: string,
  { project, environment, files }: { project: string; environment: Environment; files: ConfigFiles },
): Resolved {
  const rest = reference.slice(reference.indexOf(':') + 1)
  if (reference.startsWith('env:')) {
    const text = environment.get(rest)?.value
    if (text === undefined) {
      const fix = 'Set it in .env or in the environment, or leave the setting out'
      return { says: `${reference} is not set`, fix, rule: 'CA-004' }
    }
    return { text }
  }
  const found = files.read(resolve(project, rest))
  if (found === undefined) return { says: `${reference} does not exist`, fix: 'Check the path', rule: 'CA-004' }
  if ('problem' in found)
    return { says: `${reference} ${found.problem}`, fix: 'Name a text file that holds the secret', rule: 'CA-004' }
  if (secretOpenToOthers(found)) {
    const fix = 'Run chmod 600 on it; where it is mounted, mount it as a file of root with mode 0440'
    return { says: `${reference} can be read or changed by other users`, fix, rule: 'CA-006' }
  }
  return { text: found.text.replace(/\r?\n$/, '') }
}

/** What is wrong with the secret itself, or nothing. */
export function secretProblem(path: SecretPath, text: string): { says: string; fix: string } | undefined {
  if (path === 'store.databaseUrl') {
    const says = databaseUrlProblem(text)
    return says === undefined ? undefined : { says, fix: 'Give an address such as postgres://merlon@db.example/merlon' }
  }
  if (path === 'store.redisUrl') {
    const says = redisUrlProblem(text)
    return says === undefined ? undefined : { says, fix: 'Give an address such as rediss://merlon@redis.example:6379' }
  }
  if (path === 'alerts.webhook.url') {
    const says = webhookUrlProblem(text)
    return says === undefined ? undefined : { says, fix: 'Give an address such as https://alerts.example/merlon' }
  }
  if (path.startsWith('identity.issuers.')) {
    const says = clientSecretProblem(text)
    return says === undefined ? undefined : { says, fix: 'Give the secret that the issuer shows for this client' }
  }
  const material = parseKeyMaterial(text)
  return 'says' in material ? { says: material.says, fix: makeSecrets } : undefined
}
