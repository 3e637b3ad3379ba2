import * as z from 'zod'
import { configSchema } from './schema.ts'

/** One setting of the schema: what the reference page prints, and how the environment may give it. */
export interface Setting {
  readonly path: string
  readonly segments: readonly string[]
  readonly kind: 'text' | 'number' | 'yes-no' | 'list' | 'map'
  /** What it takes, in words: `a whole number, 0 to 65535`. */
  readonly takes: string
  /** `undefined` where the schema has none. */
  readonly fallback: unknown
  readonly description: string
  /** `MERLON_SERVER_PORT`; nothing for a map, which only a file can give. */
  readonly environment: string | undefined
  /** Whether its value is a reference to a secret. */
  readonly secret: boolean
}

/** The part of JSON Schema that `z.toJSONSchema` writes for our settings. */
interface Node {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly items?: Node
  readonly enum?: readonly string[]
  readonly default?: unknown
  readonly description?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly secret?: boolean
}

/** The JSON Schema of merlon.config.json, for editors. */
export function configJsonSchema(): Node & Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' })
  return { $schema, title: 'merlon.config.json', ...schema } as Node & Record<string, unknown>
}

export const settings: readonly Setting[] = Object.freeze([...leaves(configJsonSchema(), [])])
const byPath: ReadonlyMap<string, Setting> = new Map(settings.map((setting) => [setting.path, setting]))

export const settingsByEnvironment: ReadonlyMap<string, Setting> = new Map(
  settings.flatMap((setting) => (setting.environment === undefined ? [] : [[setting.environment, setting]])),
)

/** The setting that this path is, or lies within. */
export function settingAt(path: readonly PropertyKey[]): Setting | undefined {
  for (let length = path.length; length > 0; length--) {
    const found = byPath.get(path.slice(0, length).join('.'))
    if (found !== undefined) return found
  }
  return undefined
}

function* leaves(node: Node, segments: readonly string[]): Generator<Setting> {
  if (node.properties !== undefined) {
    for (const [key, inner] of Object.entries(node.properties)) {
      if (key !== '$schema') yield* leaves(inner, [...segments, key])
    }
    return
  }
  const kind = kindOf(node)
  yield Object.freeze({
    path: segments.join('.'),
    segments,
    kind,
    takes: takes(node),
    fallback: node.default,
    description: node.description ?? '',
    environment: kind === 'map' ? undefined : `MERLON_${segments.map(upperSnake).join('_')}`,
    secret: node.secret === true,
  })
}

function kindOf(node: Node): Setting['kind'] {
  if (node.type === 'integer' || node.type === 'number') return 'number'
  if (node.type === 'boolean') return 'yes-no'
  // What a variable cannot hold: only a file gives it.
  if (node.type === 'array') return node.items?.type === 'object' ? 'map' : 'list'
  return node.type === 'object' ? 'map' : 'text'
}

function takes(node: Node): string {
  if (node.secret === true) return 'a reference, env:NAME or file:/path'
  if (node.enum !== undefined) return `one of ${node.enum.join(', ')}`
  switch (kindOf(node)) {
    case 'number':
      return `${node.type === 'integer' ? 'a whole number' : 'a number'}${range(node)}`
    case 'yes-no':
      return 'true or false'
    case 'list':
      return node.items?.enum === undefined ? 'a list of texts' : `a list of ${node.items.enum.join(', ')}`
    case 'map':
      return node.type === 'array' ? 'a list of objects' : 'an object of lists'
    case 'text':
      return 'text'
  }
}

function range({ minimum = Number.MIN_SAFE_INTEGER, maximum = Number.MAX_SAFE_INTEGER }: Node): string {
  const from = minimum > Number.MIN_SAFE_INTEGER
  const to = maximum < Number.MAX_SAFE_INTEGER
  if (from && to) return `, ${minimum} to ${maximum}`
  return from ? `, at least ${minimum}` : to ? `, at most ${maximum}` : ''
}

function upperSnake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}
