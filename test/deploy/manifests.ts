import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'

export const deploy = join(import.meta.dirname, '../../deploy')
export const read = (path: string): string => readFileSync(join(deploy, path), 'utf8')

export interface Service {
  readonly image: string
  readonly user?: string
  readonly read_only?: boolean
  readonly init?: boolean
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly pids_limit?: number
  readonly mem_limit?: string
  readonly ulimits?: { readonly core?: number }
  readonly stop_grace_period?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly secrets?: readonly string[]
  readonly volumes?: readonly string[]
  readonly ports?: readonly string[]
  readonly networks:
    | readonly string[]
    | Readonly<Record<string, { ipv4_address?: string; aliases?: readonly string[] }>>
  readonly privileged?: boolean
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly secrets: Readonly<Record<string, { readonly file: string }>>
  readonly volumes: Readonly<Record<string, unknown>>
  readonly networks: {
    readonly agents: { readonly ipam: { readonly config: readonly { readonly subnet: string }[] } }
    readonly data: { readonly internal?: boolean }
  }
}

export const compose: Compose = parse(read('docker-compose.yml'), { merge: true })

/** A manifest, as loosely typed as YAML is. */
// biome-ignore lint/suspicious/noExplicitAny: what is wrong with it is what the tests look for
export type Manifest = any

export const manifests: readonly Manifest[] = readdirSync(join(deploy, 'kubernetes'))
  .filter((name) => name.endsWith('.yaml'))
  .flatMap((name) =>
    parseAllDocuments(read(`kubernetes/${name}`)).map((document) => {
      if (document.errors.length > 0) throw new Error(`${name}: ${document.errors.join('; ')}`)
      return document.toJS()
    }),
  )

export function manifest(kind: string, name: string): Manifest {
  const found = manifests.filter((each) => each.kind === kind && each.metadata.name === name)
  if (found.length !== 1) throw new Error(`${found.length} of ${kind} ${name}`)
  return found[0]
}

/** The sections of a unit: each name with all that was given under it, in order. */
export function readUnit(text: string): ReadonlyMap<string, ReadonlyMap<string, readonly string[]>> {
  const sections = new Map<string, Map<string, string[]>>()
  let section = new Map<string, string[]>()
  for (const line of text.split('\n').map((each) => each.trim())) {
    const name = /^\[(\w+)\]$/.exec(line)?.[1]
    if (name !== undefined) {
      section = new Map()
      sections.set(name, section)
    } else if (line !== '' && !line.startsWith('#')) {
      const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? []
      if (key === undefined || value === undefined) throw new Error(`not a line of a unit: ${line}`)
      section.set(key, [...(section.get(key) ?? []), value])
    }
  }
  return sections
}
