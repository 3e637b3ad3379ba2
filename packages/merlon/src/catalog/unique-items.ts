import type { FuncKeywordDefinition } from 'ajv'

/**
 * `uniqueItems` of JSON Schema in time linear in the array. Comparing each item with each other takes minutes for an array
 * that a client can send in one message.
 */
export const uniqueItems: FuncKeywordDefinition = {
  keyword: 'uniqueItems',
  type: 'array',
  schemaType: 'boolean',
  error: { message: 'must NOT have duplicate items' },
  validate: (wanted: boolean, items: readonly unknown[]) => {
    if (!wanted || items.length < 2) return true
    const seen = new Set<unknown>()
    for (const item of items) {
      // A string could be equal to the text of an object; its own text cannot.
      seen.add(typeof item === 'number' || typeof item === 'boolean' ? item : canonical(item))
    }
    return seen.size === items.length
  },
}

/** JSON text in which equal values are equal texts (JSON Schema core §4.2.2): the order of properties means nothing. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
