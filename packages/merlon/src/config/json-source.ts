/**
 * Reads JSON that a person wrote, and remembers the line of every value, so that a problem can be shown where it stands.
 *
 * It is stricter than JSON.parse: a key that appears twice is refused (JSON.parse keeps the last, and a reader the
 * first), and so are keys that reach into an object's prototype. Comments and trailing commas get their own sentence.
 * Nothing it says quotes the text, because the text may hold a secret by mistake.
 */
export interface JsonSource {
  readonly value: unknown
  /** The line of the value at this path, counted from 1; of the nearest value around it where there is none. */
  lineOf(path: readonly PropertyKey[]): number | undefined
  readonly problems: readonly JsonProblem[]
}

export interface JsonProblem {
  readonly line: number
  readonly path: readonly PropertyKey[]
  readonly says: string
}

const depthMax = 32
const refusedKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y

class Unreadable extends Error {}

export function parseJsonSource(text: string): JsonSource {
  const lines = new Map<string, number>()
  const problems: JsonProblem[] = []
  let at = 0
  let line = 1

  const stop = (says: string, path: readonly PropertyKey[]): never => {
    problems.push({ line, path, says })
    throw new Unreadable()
  }

  const skipBlank = (path: readonly PropertyKey[]): void => {
    for (; at < text.length; at++) {
      const char = text[at]
      if (char === '\n') line++
      else if (char === '/' && (text[at + 1] === '/' || text[at + 1] === '*')) stop('JSON has no comments', path)
      else if (char !== ' ' && char !== '\t' && char !== '\r') return
    }
  }

  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (found !== undefined) at += found.length
    return found
  }

  const readString = (path: readonly PropertyKey[]): string => {
    const found = take(string) ?? stop('the text here is not closed, or holds a bad escape or a line break', path)
    return JSON.parse(found)
  }

  const readObject = (path: readonly PropertyKey[], depth: number): Record<string, unknown> => {
    const object: Record<string, unknown> = {}
    const seen = new Set<string>()
    at++
    skipBlank(path)
    if (text[at] === '}') {
      at++
      return object
    }
    for (;;) {
      skipBlank(path)
      if (text[at] === '}') stop('a comma stands before the closing brace', path)
      if (text[at] !== '"') stop('a key in double quotes is expected here', path)
      const key = readString(path)
      const inner = [...path, key]
      if (seen.has(key)) problems.push({ line, path: inner, says: 'the key appears twice' })
      if (refusedKeys.has(key)) problems.push({ line, path: inner, says: 'there is no such setting' })
      skipBlank(inner)
      if (text[at] !== ':') stop('a colon is expected after the key', inner)
      at++
      const value = readValue(inner, depth)
      if (!seen.has(key) && !refusedKeys.has(key)) object[key] = value
      seen.add(key)
      skipBlank(path)
      if (text[at] === ',') at++
      else if (text[at] === '}') {
        at++
        return object
      } else stop('a comma or a closing brace is expected here', path)
    }
  }

  const readArray = (path: readonly PropertyKey[], depth: number): unknown[] => {
    const array: unknown[] = []
    at++
    skipBlank(path)
    if (text[at] === ']') {
      at++
      return array
    }
    for (;;) {
      skipBlank(path)
      if (text[at] === ']') stop('a comma stands before the closing bracket', path)
      array.push(readValue([...path, array.length], depth))
      skipBlank(path)
      if (text[at] === ',') at++
      else if (text[at] === ']') {
        at++
        return array
      } else stop('a comma or a closing bracket is expected here', path)
    }
  }

  const readValue = (path: readonly PropertyKey[], depth: number): unknown => {
    skipBlank(path)
    if (depth > depthMax) stop('the nesting is too deep', path)
    const place = placeOf(path)
    if (!lines.has(place)) lines.set(place, line)
    const char = text[at]
    if (char === '{') return readObject(path, depth + 1)
    if (char === '[') return readArray(path, depth + 1)
    if (char === '"') return readString(path)
    if (text.startsWith('true', at)) return word('true', true)
    if (text.startsWith('false', at)) return word('false', false)
    if (text.startsWith('null', at)) return word('null', null)
    return Number(take(number) ?? stop('a value is expected here', path))
  }

  const word = <T>(name: string, value: T): T => {
    at += name.length
    return value
  }

  let value: unknown
  try {
    value = readValue([], 0)
    skipBlank([])
    if (at < text.length) stop('nothing may follow the closing brace', [])
  } catch (thrown) {
    if (!(thrown instanceof Unreadable)) throw thrown
    value = undefined
  }

  return {
    value,
    problems,
    lineOf(path) {
      for (let length = path.length; length >= 0; length--) {
        const found = lines.get(placeOf(path.slice(0, length)))
        if (found !== undefined) return found
      }
      return undefined
    },
  }
}

function placeOf(path: readonly PropertyKey[]): string {
  return JSON.stringify(path.map(String))
}
