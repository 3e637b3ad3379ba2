import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Fault } from '../errors.ts'
import { parseJson } from './json.ts'

const bounds = { depthMax: 8, nodesMax: 60 }
const wide = { depthMax: 64, nodesMax: 100_000 }

const refusal = (code: string, reason: string) =>
  expect.objectContaining({ code, detail: expect.objectContaining({ reason }) })
const parse = (text: string, within = wide) => parseJson(Buffer.from(text), within)

/** The verdict on some bytes: what they say, or that they are refused. Anything but a Fault escapes. */
function verdict(bytes: Buffer): { value: string } | 'refused' {
  try {
    return { value: JSON.stringify(parseJson(bytes, bounds)) }
  } catch (thrown) {
    if (thrown instanceof Fault && (thrown.code === 'body.malformed' || thrown.code === 'request.invalid'))
      return 'refused'
    throw thrown
  }
}

/** The same by a plain descent over the characters, one rule at a time, without JSON.parse deciding what is JSON. */
function slowVerdict(bytes: Buffer): { value: string } | 'refused' {
  const refused = new Error('refused')
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return 'refused'
  }
  let at = 0
  let nodes = 0
  const blank = () => {
    while (at < text.length && ' \t\n\r'.includes(text[at]!)) at++
  }
  const eat = (mark: string) => {
    blank()
    if (text[at] !== mark) throw refused
    at++
  }
  const peek = () => {
    blank()
    return text[at]
  }
  const token = (pattern: RegExp): string => {
    blank()
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (found === undefined) throw refused
    at += found.length
    return found
  }
  const string = () => token(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y)
  const value = (depth: number): unknown => {
    if (++nodes > bounds.nodesMax) throw refused
    const next = peek()
    if (next === '"') return JSON.parse(string())
    if (next !== '{' && next !== '[')
      return JSON.parse(token(/true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y))
    if (depth >= bounds.depthMax) throw refused
    const close = next === '{' ? '}' : ']'
    const members = new Map<string, unknown>()
    const elements: unknown[] = []
    at++
    // An empty container counts as if it held something: the walk over the bytes does not look ahead.
    if (peek() === close) {
      if (++nodes > bounds.nodesMax) throw refused
    } else {
      do {
        if (elements.length + members.size > 0) eat(',')
        if (next === '[') elements.push(value(depth + 1))
        else {
          const key = JSON.parse(string()) as string
          if (members.has(key) || key === '__proto__') throw refused
          eat(':')
          members.set(key, value(depth + 1))
        }
      } while (peek() === ',')
    }
    eat(close)
    return next === '[' ? elements : Object.fromEntries(members)
  }
  try {
    const whole = value(0)
    blank()
    return at === text.length ? { value: JSON.stringify(whole) } : 'refused'
  } catch (thrown) {
    if (thrown === refused) return 'refused'
    throw thrown
  }
}

const key = fc.constantFrom('"a"', '"\\u0061"', '"b"', '"__proto__"', '"\\u005f_proto__"', '"constructor"', '"é"', '""')
const scalar = fc.constantFrom(
  '1',
  '-0.5e3',
  '01',
  'true',
  'null',
  '"x"',
  '"{[,:"',
  '"\\""',
  '"\\',
  '""',
  'NaN',
  '\ufeff',
)
/** Texts that are nearly JSON: right in most places, so that both verdicts are common. */
const { text: nearly } = fc.letrec<{ text: string }>((tie) => ({
  text: fc.oneof(
    { maxDepth: 10, depthIdentifier: 'json' },
    scalar,
    fc.array(tie('text'), { maxLength: 4, depthIdentifier: 'json' }).map((items) => `[${items.join(',')}]`),
    fc
      .array(fc.tuple(key, tie('text')), { maxLength: 4, depthIdentifier: 'json' })
      .map((items) => `{${items.map(([name, item]) => `${name}: ${item}`).join(' ,')}}`),
  ),
}))

describe('parseJson', () => {
  test('TR-12: any bytes give a value or a Fault, nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        verdict(Buffer.from(bytes))
      }),
      { numRuns: 500 },
    )
  })

  test('takes what a slow reading takes, and refuses what it refuses', () => {
    const seen = { taken: 0, refused: 0 }
    fc.assert(
      fc.property(
        fc.oneof(
          nearly,
          fc.json(),
          fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0061 tn'), maxLength: 14 }),
          fc
            .tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', ',', '}', '\\', '\u0000'))
            .map(([json, where, put]) => {
              const cut = where % (json.length + 1)
              return json.slice(0, cut) + put + json.slice(cut + 1)
            }),
        ),
        (text) => {
          const bytes = Buffer.from(text)
          const slow = slowVerdict(bytes)
          seen[slow === 'refused' ? 'refused' : 'taken']++
          expect(verdict(bytes)).toEqual(slow)
        },
      ),
      { numRuns: 3_000 },
    )
    expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(300)
  })

  test('TR-14: a key that appears twice in one object is refused, however it is spelled and wherever it stands', () => {
    const twice = [
      '{"a":1,"a":2}',
      '{"a":1,"a":1}',
      '{"a":1,"\\u0061":2}',
      '{"\\u00e9":1,"é":2}',
      '{"":1,"":2}',
      '{"x":{"a":1,"b":2,"a":3}}',
      '[[{"a":1},{"a":1,"a":1}]]',
      '{"a":{"b":1,"c":2},"a":3}',
      '{"a":3,"a":{"b":1,"c":2}}',
      '{"a":{"a":1,"a":2},"b":[]}',
      `{${Array.from({ length: 500 }, (_, at) => `"k${at % 499}":${at}`).join(',')}}`,
    ]
    for (const text of twice) expect(() => parse(text), text).toThrow(refusal('request.invalid', 'duplicate-key'))
    expect(parse('[{"a":1},{"a":1},{"b":{"a":1}}]')).toEqual([{ a: 1 }, { a: 1 }, { b: { a: 1 } }])
    expect(parse('{"a:b":":","c":"\\":\\""}')).toEqual({ 'a:b': ':', c: '":"' })
  })

  test('TR-16: the key __proto__ is refused at any depth; other names that every object has are plain keys', () => {
    for (const text of ['{"__proto__":{}}', '[{"a":{"__proto__":1}}]', '{"\\u005f\\u005fproto__":{"x":1}}'])
      expect(() => parse(text)).toThrow(refusal('request.invalid', 'proto-key'))
    const value = parse('{"constructor":1,"toString":2,"hasOwnProperty":3}') as object
    expect(Object.keys(value)).toEqual(['constructor', 'toString', 'hasOwnProperty'])
    expect(Object.hasOwn(value, 'constructor')).toBe(true)
  })

  test('RL-11: depth is bounded exactly, and counted before an object is built', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    expect(() => parse(nested(64))).not.toThrow()
    expect(() => parse(nested(65))).toThrow(refusal('request.invalid', 'depth'))
    // A reader that built objects first would find out at the end that this is no JSON at all.
    expect(() => parse('['.repeat(200_000))).toThrow(refusal('request.invalid', 'depth'))
    expect(() => parse(`${'{"a":'.repeat(100_000)}1`)).toThrow(refusal('request.invalid', 'depth'))
    expect(parse(`"${'['.repeat(100)}"`)).toBe('['.repeat(100))
    // What stands side by side is not deep.
    expect(() => parse(`[${Array(200).fill('[{}]').join(',')}]`)).not.toThrow()
  })

  test('RL-11: values are bounded exactly, and counted before an object is built', () => {
    const list = (length: number) => `[${Array(length).fill('1').join(',')}]`
    expect(() => parse(list(59), bounds)).not.toThrow()
    expect(() => parse(list(60), bounds)).toThrow(refusal('request.invalid', 'nodes'))
    expect(() => parse(`${','.repeat(60)}nonsense`, bounds)).toThrow(refusal('request.invalid', 'nodes'))
  })

  test('RL-11: a string, a key or an object that is too large is refused', () => {
    const long = 'x'.repeat(1_048_576)
    expect(() => parse(`"${long}"`)).toThrow(refusal('request.invalid', 'string-length'))
    expect(() => parse(`{"${long}":1}`)).toThrow(refusal('request.invalid', 'string-length'))
    expect(() => parse(`"${long.slice(0, -1)}"`)).not.toThrow()
    const keys = (count: number) => `{${Array.from({ length: count }, (_, at) => `"${at}":0`).join(',')}}`
    expect(() => parse(keys(10_000))).not.toThrow()
    expect(() => parse(keys(10_001))).toThrow(refusal('request.invalid', 'keys'))
  })

  test('TR-12: bytes that are not UTF-8, or begin with a byte order mark, are refused', () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0x80, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xc3],
    ])
      expect(() => parseJson(Buffer.from(bytes), wide)).toThrow(expect.objectContaining({ code: 'body.malformed' }))
    expect(() => parse('\ufeff{}')).toThrow(refusal('body.malformed', 'json'))
    expect(() => parseJson(Buffer.from('{}', 'utf16le'), wide)).toThrow(refusal('body.malformed', 'json'))
    for (const text of ['', ' ', '{', '{}{}', "{'a':1}", '[1,]', '{"a":1,}', '// x', 'undefined'])
      expect(() => parse(text), text).toThrow(refusal('body.malformed', 'json'))
  })

  test('a string that does not end is refused, and read no further than the text', () => {
    for (const text of ['"', '"\\', '"a\\"', '{"a":"\\\\\\"}'])
      expect(() => parse(text), text).toThrow(refusal('body.malformed', 'json'))
  })
})
