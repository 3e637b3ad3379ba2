import type { JsonSchema } from './define.ts'
import { walkSchema } from './schema-walk.ts'

/** An argument that a client of 2026-07-28 repeats in a header, so that what stands between can route by it. */
export interface HeaderParam {
  /** In lower case: `mcp-param-region`. */
  readonly header: string
  /** The names of properties that lead to the value in the arguments; look each up as an own property. */
  readonly path: readonly string[]
  readonly type: 'string' | 'integer' | 'boolean'
}

const annotation = 'x-mcp-header'
const token = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/
const types: ReadonlySet<unknown> = new Set(['string', 'integer', 'boolean'])

/**
 * The parameters that an input schema marks with `x-mcp-header`. Throws an Error that names the property where a mark
 * breaks a rule of "Schema Extension" (2026-07-28, Streamable HTTP): clients would leave the tool out of their list.
 */
export function headerParams(schema: JsonSchema): readonly HeaderParam[] {
  const params: HeaderParam[] = []
  const seen = new Map<string, string>()
  walkSchema(schema, ({ schema: property, keys }) => {
    if (!Object.hasOwn(property, annotation)) return
    const name = property[annotation]
    const path = propertyPath(keys)
    const where = path === undefined ? `#/${keys.join('/')}` : path.join('.')
    const refuse = (reason: string): never => {
      throw new Error(`the ${annotation} of ${where} ${reason}`)
    }
    if (path === undefined)
      return refuse('does not stand on a property that is reached from the root by properties alone')
    if (typeof name !== 'string' || !token.test(name)) return refuse('is not a header name (RFC 9110 §5.1)')
    const type = property['type']
    if (!types.has(type)) return refuse('stands on a property whose type is not string, integer or boolean')
    if (type === 'integer' && !boundsSafe(property)) return refuse('stands on an integer beyond ±(2^53 - 1)')
    const header = `mcp-param-${name.toLowerCase()}`
    const other = seen.get(header)
    if (other !== undefined) return refuse(`is the same as that of ${other}`)
    seen.set(header, where)
    params.push(Object.freeze({ header, path: Object.freeze(path), type: type as HeaderParam['type'] }))
  })
  return Object.freeze(params)
}

/** `properties, a, properties, b` as `a, b`; `undefined` for the root and where anything else lies on the way. */
function propertyPath(keys: readonly string[]): string[] | undefined {
  if (keys.length === 0) return undefined
  const path: string[] = []
  for (let i = 0; i < keys.length; i += 2) {
    if (keys[i] !== 'properties') return undefined
    path.push(keys[i + 1]!)
  }
  return path
}

function boundsSafe(property: JsonSchema): boolean {
  return ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'].every((keyword) => {
    const bound = property[keyword]
    return typeof bound !== 'number' || Math.abs(bound) <= Number.MAX_SAFE_INTEGER
  })
}
