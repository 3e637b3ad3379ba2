import type { JsonSchema } from './define.ts'

/** A schema within a schema. */
export interface Place {
  readonly schema: JsonSchema
  /** The keys that lead here, keywords included: `properties`, `region`. */
  readonly keys: readonly string[]
}

/** Keywords whose value maps names to schemas; the names are the author's, not keywords. */
const maps: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  '$defs',
  'definitions',
  'dependentSchemas',
  'dependencies',
])
/** Keywords whose value is data, whatever it looks like. */
const data: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples', 'example'])

const depthMax = 64
const valuesMax = 20_000

/**
 * Visits every schema within a schema, itself first. A keyword that is not known may hold schemas too, as a `$ref` can
 * point there. Throws an Error where the schema is deeper than 64 levels, larger than 20,000 values, or refers to itself.
 */
export function walkSchema(schema: JsonSchema, visit: (place: Place) => void): void {
  let values = 0
  const count = (depth: number): void => {
    if (depth > depthMax) throw new Error(`the schema is nested deeper than ${depthMax} levels`)
    if (++values > valuesMax) throw new Error(`the schema holds more than ${valuesMax} values`)
  }
  const walkData = (value: unknown, depth: number): void => {
    count(depth)
    if (typeof value !== 'object' || value === null) return
    for (const inner of Object.values(value)) walkData(inner, depth + 1)
  }
  const walkMap = (value: unknown, keys: readonly string[]): void => {
    count(keys.length)
    if (!isObject(value)) return
    for (const [name, inner] of Object.entries(value)) walk(inner, [...keys, name])
  }
  const walk = (value: unknown, keys: readonly string[]): void => {
    count(keys.length)
    if (Array.isArray(value)) {
      for (const [i, inner] of value.entries()) walk(inner, [...keys, String(i)])
      return
    }
    if (!isObject(value)) return
    visit({ schema: value, keys })
    for (const [keyword, inner] of Object.entries(value)) {
      if (data.has(keyword)) walkData(inner, keys.length + 1)
      else if (maps.has(keyword)) walkMap(inner, [...keys, keyword])
      else walk(inner, [...keys, keyword])
    }
  }
  walk(schema, [])
}

export function isObject(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
