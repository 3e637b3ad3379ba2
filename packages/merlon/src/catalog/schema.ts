import { createRequire } from 'node:module'
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'
import type { Ajv, ErrorObject, Options } from 'ajv'
import type { Ajv2020 } from 'ajv/dist/2020.js'
import * as z from 'zod'
import type { Awaitable } from '../call.ts'
import type { JsonSchema, SchemaLike } from './define.ts'
import { isObject, walkSchema } from './schema-walk.ts'
import { uniqueItems } from './unique-items.ts'
import { checkAsync, mayBeAsync } from './zod-async.ts'

export type Checked =
  | { readonly ok: true; readonly value: unknown }
  /** `path: message`, at most 20, each at most 256 characters; the value itself is not in them. */
  | { readonly ok: false; readonly issues: readonly string[] }

export interface CompiledSchema {
  /** As clients see it: what the author wrote, key for key, frozen. */
  readonly jsonSchema: JsonSchema
  /** Whether an object may hold properties that the schema does not name, as far as its root tells. */
  readonly open: boolean
  /** Answers at once where the schema can. `value` is what the handler gets: with defaults, without what is stripped. */
  check(value: unknown): Awaitable<Checked>
}

const issuesMax = 20
const issueLengthMax = 256
const namesDraft07 = /^https?:\/\/json-schema\.org\/draft-07\/schema#?$/
const names2020 = /^https?:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/

/**
 * Compiles a schema. Throws an Error, in words for the author, where it cannot be said as JSON Schema, is not that of an
 * object, names another dialect than 2020-12 and draft-07, is too large, or refers to anything outside itself.
 *
 * Whether unknown properties are refused, stripped or passed on is what the schema says (`open` tells); formats are not
 * checked (2020-12 §7: an annotation). An output has to be an object too: revisions up to 2025-11-25 know no other.
 */
export function compileSchema(schema: SchemaLike, what: 'input' | 'output'): CompiledSchema {
  const standard = isStandard(schema) ? schema['~standard'] : undefined
  const jsonSchema = detached(standard === undefined ? (schema as JsonSchema) : describe(schema, standard, what))
  inspect(jsonSchema, what)
  const check = standard === undefined ? compileJsonSchema(jsonSchema) : checkStandard(schema, standard)
  return Object.freeze({ jsonSchema, open: isOpen(jsonSchema), check })
}

type Standard = StandardSchemaV1.Props & { readonly jsonSchema?: StandardJSONSchemaV1.Converter }

function isStandard(schema: SchemaLike): schema is { readonly '~standard': Standard } {
  // Some libraries make schemas that are functions.
  const value: unknown = schema
  return ((typeof value === 'object' && value !== null) || typeof value === 'function') && '~standard' in value
}

/** What a Standard Schema says of itself. */
function describe(schema: SchemaLike, standard: Standard, what: 'input' | 'output'): JsonSchema {
  const target = 'draft-2020-12'
  if (standard.jsonSchema !== undefined) return standard.jsonSchema[what]({ target })
  if (schema instanceof z.core.$ZodType) return z.toJSONSchema(schema, { target, io: what }) as JsonSchema
  throw new Error(`${standard.vendor} cannot say this schema as JSON Schema; give the ${what} as a JSON Schema instead`)
}

/** A frozen copy that shares nothing with the author's object and holds just what clients will see. */
function detached(schema: JsonSchema): JsonSchema {
  if (!isObject(schema)) throw new Error('the schema is neither a Standard Schema nor a JSON Schema object')
  walkSchema(schema, () => {})
  return deepFreeze(JSON.parse(JSON.stringify(schema)))
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner)
    Object.freeze(value)
  }
  return value
}

function inspect(schema: JsonSchema, what: 'input' | 'output'): void {
  const dialect = schema['$schema']
  if (
    dialect !== undefined &&
    (typeof dialect !== 'string' || (!namesDraft07.test(dialect) && !names2020.test(dialect)))
  )
    throw new Error(
      `the ${what} schema is written in ${short(String(dialect), 128)}; understood are 2020-12 and draft-07`,
    )
  if (schema['type'] !== 'object') throw new Error(`the ${what} schema does not say "type": "object" at its root`)
  const properties = schema['properties']
  if (isObject(properties) && !Object.values(properties).every(isObject))
    throw new Error(`the ${what} schema has a property whose schema is not an object; clients expect {} for true`)

  const ids = new Set<unknown>()
  const references: string[] = []
  walkSchema(schema, ({ schema: inner, keys }) => {
    if (inner['$async'] !== undefined) throw new Error(`the ${what} schema holds $async, which is no JSON Schema`)
    if (keys.length > 0 && inner['$schema'] !== undefined && inner['$schema'] !== dialect)
      throw new Error(`the ${what} schema changes its dialect at #/${keys.join('/')}`)
    ids.add(inner['$id'])
    for (const keyword of ['$ref', '$dynamicRef', '$recursiveRef']) {
      const reference = inner[keyword]
      if (typeof reference === 'string') references.push(reference)
    }
  })
  for (const reference of references) {
    const base = reference.split('#', 1)[0]
    if (base !== '' && !ids.has(base))
      throw new Error(`the ${what} schema refers to ${short(reference, 128)}, which is not in it; nothing is fetched`)
  }
}

/** Nothing at the root closes the object. */
function isOpen(schema: JsonSchema): boolean {
  return [schema['additionalProperties'], schema['unevaluatedProperties']].every(
    (rest) => rest === undefined || rest === true,
  )
}

function checkStandard(schema: SchemaLike, standard: Standard): (value: unknown) => Awaitable<Checked> {
  const answer = (result: StandardSchemaV1.Result<unknown>): Checked => {
    if (result.issues === undefined) return { ok: true, value: result.value }
    return refused(result.issues.map(({ path, message }) => ({ path: path ?? [], message })))
  }
  if (mayBeAsync(schema)) {
    return async (value) => {
      const { success, data, error } = await checkAsync(schema, value)
      return answer(success ? { value: data } : { issues: error.issues })
    }
  }
  return (value) => {
    const result = standard.validate(value)
    return result instanceof Promise ? result.then(answer) : answer(result)
  }
}

const options: Options = {
  strict: false,
  // One issue at a time: with all of them, a long array of wrong items would cost its caller little and us a lot.
  allErrors: false,
  // Without it `required: ["constructor"]` is met by every object.
  ownProperties: true,
  validateFormats: false,
  // A schema is its own world: none can refer to another by its $id.
  addUsedSchema: false,
  logger: false,
}

/** For the compiler, which is not loaded before the first JSON Schema: a start without one takes less. */
const load = createRequire(import.meta.url)
let ajv07: Ajv | undefined
let ajv2020: Ajv2020 | undefined

function ajvFor(dialect: unknown): Ajv | Ajv2020 {
  if (typeof dialect === 'string' && namesDraft07.test(dialect)) {
    const compilers = load('ajv') as typeof import('ajv')
    ajv07 ??= withOwnKeywords(new compilers.Ajv(options))
    return ajv07
  }
  const compilers = load('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js')
  ajv2020 ??= withOwnKeywords(new compilers.Ajv2020(options))
  return ajv2020
}

function withOwnKeywords<A extends Ajv | Ajv2020>(ajv: A): A {
  ajv.removeKeyword('uniqueItems')
  ajv.addKeyword(uniqueItems)
  return ajv
}

function compileJsonSchema(jsonSchema: JsonSchema): (value: unknown) => Checked {
  const { $schema: dialect, ...schema } = jsonSchema
  const ajv = ajvFor(dialect)
  const validate = ajv.compile(schema)
  // The compiler keeps what it compiled; a reload must not grow it.
  ajv.removeSchema(schema)
  return (value) => {
    if (validate(value)) return { ok: true, value }
    return refused((validate.errors ?? []).map((error) => ({ path: pointerKeys(error), message: sentence(error) })))
  }
}

function pointerKeys({ instancePath }: ErrorObject): string[] {
  return instancePath
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function sentence({ keyword, message = 'does not fit', params }: ErrorObject): string {
  if (keyword === 'additionalProperties') return `${message}: ${params['additionalProperty']}`
  if (keyword === 'unevaluatedProperties') return `${message}: ${params['unevaluatedProperty']}`
  if (keyword === 'enum') return `${message}: ${JSON.stringify(params['allowedValues'])}`
  return message
}

interface Issue {
  readonly path: readonly (PropertyKey | StandardSchemaV1.PathSegment)[]
  readonly message: string
}

function refused(issues: readonly Issue[]): Checked {
  const lines = issues.slice(0, issuesMax).map(({ path, message }) => {
    const keys = path.slice(0, 64).map((step) => String(typeof step === 'object' ? step.key : step))
    const place = keys.map((key) => short(key, 64)).join('.')
    return short(place === '' ? message : `${short(place, 128)}: ${message}`, issueLengthMax)
  })
  return { ok: false, issues: lines.length === 0 ? ['does not fit'] : lines }
}

/** Bounded, on one line. */
function short(text: string, lengthMax: number): string {
  const cut = text.length <= lengthMax ? text : `${text.slice(0, lengthMax - 1)}…`
  return cut.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ').toWellFormed()
}
