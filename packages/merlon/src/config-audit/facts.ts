import type { Instant } from '../call.ts'
import type { Problem } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'

/**
 * Everything the rules look at, gathered once. Nothing in here is a secret: of files it holds modes and sizes, of keys
 * what may be shown, of addresses the parts beside the password. A part that is absent was not gathered.
 */
export interface Facts {
  readonly now: Instant
  /** In force. Where the loader refused a value its default stands here. */
  readonly config: Config
  /** What the loader refuses, and what it warns of. */
  readonly said: readonly Problem[]
  whereOf(path: string): string
  readonly process: ProcessFacts
  readonly files?: FileFacts
  readonly certificate?: CertificateFacts
  readonly database?: DatabaseFacts
  readonly redis?: ServiceFacts
  readonly catalog?: CatalogFacts
  readonly keys?: readonly KeyFacts[]
  /** How many active users have the role operator. */
  readonly operators?: number
  readonly packages?: PackageFacts
}

export interface ProcessFacts {
  /** `24.21.0` */
  readonly nodeVersion: string
  /** Options of Node.js, from its command line and NODE_OPTIONS, with `-` for `_`: `--tls-min-v1.0`. */
  readonly flags: readonly string[]
  /** Variables that change how Node.js works, from the process and `.env`. */
  readonly variables: ReadonlyMap<string, string>
  /** Names of secrets that the process itself was given as variables. */
  readonly secretVariables: readonly string[]
  /** What lets others read the memory of the process. */
  readonly exposed?: string | undefined
  readonly user?: number | undefined
  readonly umask?: number | undefined
  readonly coreBytesMax?: number | undefined
}

/** What a file is to the server. */
export type FileRole =
  | 'project folder'
  | 'catalog folder'
  | 'configuration'
  | 'environment file'
  | 'data folder'
  | 'root key'
  | 'database'
  | 'file beside the database'
  | 'audit log'
  | 'private key'

export interface PlacedFile {
  readonly role: FileRole
  /** From the project folder where it lies in it. */
  readonly path: string
  readonly kind: 'file' | 'folder' | 'other'
  /** Permission bits; zero where the system has none. */
  readonly mode: number
  readonly owner: number
  readonly changedAt: Instant
  readonly bytes: number
  /** Where temporary files are kept. */
  readonly temporary: boolean
}

export interface FileFacts {
  readonly placed: readonly PlacedFile[]
  /** Paths of secrets that git follows; `undefined` outside of a repository, or where its index cannot be read. */
  readonly tracked: readonly string[] | undefined
  /** Names that git leaves out; `undefined` outside of a repository. */
  readonly ignored: readonly string[] | undefined
  /** Left on the volume of the audit log. */
  readonly freeBytes: number | undefined
}

export interface CertificateFacts {
  readonly path: string
  readonly notBefore: Instant
  readonly notAfter: Instant
  readonly key: { readonly kind: string; readonly bits: number }
  readonly selfSigned: boolean
  /** Whether it names the host of the public address; `undefined` where there is none. */
  readonly namesPublicHost: boolean | undefined
}

/** Another service, as its address names it. */
export interface ServiceFacts {
  /** The setting or variable that names it. */
  readonly path: string
  readonly where: string
  readonly remote: boolean
  readonly encrypted: boolean
  /** Whether its certificate is looked at. */
  readonly verified: boolean
  readonly password: boolean
}

export interface DatabaseFacts extends ServiceFacts {
  /** What its role may do; `undefined` where it was not asked or could not be reached. */
  readonly role: { readonly superuser: boolean; readonly bypassesRowSecurity: boolean } | undefined
}

export interface ToolFacts {
  readonly name: string
  readonly scope: string
  /** Whether its author named the scope. */
  readonly scopeNamed: boolean
  readonly description: string
  readonly annotations: { readonly readOnlyHint?: boolean; readonly destructiveHint?: boolean }
  readonly inputSchema: Readonly<Record<string, unknown>>
}

export interface CatalogFacts {
  /** Why it does not load; then it has no tools here. */
  readonly problem: string | undefined
  readonly tools: readonly ToolFacts[]
  /** Resources and prompts. */
  readonly others: readonly { readonly name: string; readonly description: string; readonly scope: string }[]
}

/** A key that is good: neither revoked nor expired. */
export interface KeyFacts {
  readonly id: string
  readonly name: string
  readonly tenant: string
  readonly owner: string
  readonly scopes: readonly string[]
  readonly createdAt: Instant
  readonly expiresAt: Instant
  readonly lastUsedAt: Instant | undefined
}

export interface PackageFacts {
  /** The lockfile, if there is one. */
  readonly lockfile: string | undefined
  /** What the manifest asks for. */
  readonly asked: readonly { readonly name: string; readonly spec: string }[]
  /** What the lockfile of npm settled. */
  readonly locked: readonly {
    readonly name: string
    readonly version: string
    readonly integrity: boolean
    readonly resolved: string | undefined
  }[]
  readonly ignoresScripts: boolean
  /** Instructions of the Dockerfile, without comments; `undefined` where there is none. */
  readonly dockerfile: readonly string[] | undefined
  readonly dockerIgnored: readonly string[]
}
