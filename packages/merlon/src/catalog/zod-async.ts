import * as z from 'zod'

/** Parts of a zod schema that run an author's function, which may answer with a promise. */
const runsCode: ReadonlySet<unknown> = new Set(['custom', 'transform', 'promise', 'catch', 'lazy', 'function'])

/**
 * Whether checking this zod schema may take a promise. `undefined` for what is no zod schema.
 *
 * zod's own `validate` tries at once first and, if a refinement turns out to be asynchronous, throws what it began away and
 * starts over: the refinement runs twice, and if the first run rejects nobody hears it.
 */
export function mayBeAsync(schema: unknown): boolean | undefined {
  return isZod(schema) ? holdsCode(schema, new Set()) : undefined
}

/** Checks with a zod schema that may be asynchronous, once. */
export function checkAsync(schema: unknown, value: unknown): Promise<z.core.util.SafeParseResult<unknown>> {
  return z.core.safeParseAsync(schema as z.core.$ZodType, value)
}

function isZod(value: unknown): value is z.core.$ZodType {
  return typeof value === 'object' && value !== null && '_zod' in value
}

/** Looks through the definition, whatever its parts are called, so that a kind of schema we do not know is looked into too. */
function holdsCode(part: unknown, seen: Set<object>): boolean {
  if (typeof part !== 'object' || part === null || seen.has(part)) return false
  seen.add(part)
  if (isZod(part)) {
    const definition: { readonly type?: unknown; readonly check?: unknown } = part._zod.def
    return runsCode.has(definition.type) || runsCode.has(definition.check) || holdsCode(definition, seen)
  }
  return Object.values(part).some((inner) => holdsCode(inner, seen))
}
