import type { FieldError } from './control.ts'
import { invalid } from './fields.ts'

const pairsMax = 50

/**
 * Reads a query (`?a=1&b=2`) strictly: a name that comes twice could mean one thing to us and another to whoever logged it,
 * and an escape that is no UTF-8 means nothing.
 */
export function readQuery(text: string): Readonly<Record<string, string>> {
  const query: Record<string, string> = Object.create(null)
  if (text.length <= 1) return query
  const errors: FieldError[] = []
  const pairs = text.slice(1).split('&')
  if (pairs.length > pairsMax)
    throw invalid([{ path: 'query', says: 'too many fields', expected: `at most ${pairsMax}` }])
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    const name = decoded(at < 0 ? pair : pair.slice(0, at))
    const value = decoded(at < 0 ? '' : pair.slice(at + 1))
    if (name === undefined || value === undefined) errors.push({ path: 'query', says: 'an escape that is not UTF-8' })
    else if (name in query) errors.push({ path: `query.${name.slice(0, 64)}`, says: 'given twice' })
    else query[name] = value
  }
  if (errors.length > 0) throw invalid(errors)
  return query
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
