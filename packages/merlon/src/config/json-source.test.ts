import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseJsonSource } from './json-source.ts'

describe('a configuration file is read strictly', () => {
  test('what JSON.stringify writes is read back the same', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const text = JSON.stringify(value, null, 2)
        if (/"(?:__proto__|constructor|prototype)":/.test(text)) return
        const { value: read, problems } = parseJsonSource(text)
        expect(problems).toEqual([])
        expect(read).toEqual(JSON.parse(text))
      }),
      { numRuns: 200 },
    )
  })

  test('any text gives a value or a problem, and never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const { value, problems } = parseJsonSource(text)
        if (problems.length === 0) expect(value).toEqual(JSON.parse(text))
      }),
      { numRuns: 500 },
    )
  })

  test.each([
    ['{"a":1,\n"a":2}', 2, 'the key appears twice'],
    ['{\n// why\n"a":1}', 2, 'JSON has no comments'],
    ['{"a":1,}', 1, 'a comma stands before the closing brace'],
    ['{"a":[1,]}', 1, 'a comma stands before the closing bracket'],
    ['{"a":1}\n}', 2, 'nothing may follow the closing brace'],
    ['{"__proto__":{"admin":true}}', 1, 'there is no such setting'],
    ['{"constructor":1}', 1, 'there is no such setting'],
    ["{'a':1}", 1, 'a key in double quotes is expected here'],
    ['{"a":"b\n"}', 1, 'the text here is not closed, or holds a bad escape or a line break'],
    ['{"a":01}', 1, 'a comma or a closing brace is expected here'],
    ['[['.repeat(40), 1, 'the nesting is too deep'],
    ['', 1, 'a value is expected here'],
  ])('%j is a problem at its line', (text, line, says) => {
    expect(parseJsonSource(text).problems).toContainEqual(expect.objectContaining({ line, says }))
  })

  test('of a key that appears twice the first is kept, and a prototype is never set', () => {
    const { value } = parseJsonSource('{"a":1,"a":2,"__proto__":{"admin":true}}')
    expect(value).toEqual({ a: 1 })
    expect((value as { admin?: unknown }).admin).toBeUndefined()
  })

  test('every value knows its line, and a path that is not there the line around it', () => {
    const { lineOf } = parseJsonSource('{\n  "server": {\n    "port": 1,\n    "list": [\n      "x"\n    ]\n  }\n}')
    expect(lineOf(['server', 'port'])).toBe(3)
    expect(lineOf(['server', 'list', 0])).toBe(5)
    expect(lineOf(['server', 'other'])).toBe(2)
    expect(lineOf(['nowhere'])).toBe(1)
  })

  test('a problem never quotes the file', () => {
    for (const text of ['{"key": "canary-canary', '{"a" canary}', '{"a": canary}', '{"a":"x" canary}']) {
      expect(JSON.stringify(parseJsonSource(text).problems.map(({ says }) => says))).not.toContain('canary')
    }
  })
})
