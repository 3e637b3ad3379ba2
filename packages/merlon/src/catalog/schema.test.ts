import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import type { JsonSchema, SchemaLike } from './define.ts'
import { type Checked, compileSchema } from './schema.ts'

const draft2020 = 'https://json-schema.org/draft/2020-12/schema'

function issuesOf(checked: Checked | Promise<Checked>): readonly string[] {
  if (checked instanceof Promise) throw new Error('the check did not answer at once')
  return checked.ok ? [] : checked.issues
}

describe('a Standard Schema', () => {
  const notes = compileSchema(z.strictObject({ id: z.string(), count: z.int().min(1).default(3) }), 'input')

  test('says itself as JSON Schema 2020-12', () => {
    expect(notes.jsonSchema).toMatchObject({
      $schema: draft2020,
      type: 'object',
      required: ['id'],
      additionalProperties: false,
    })
    expect(notes.open).toBe(false)
  })

  test('answers at once, with its defaults', () => {
    expect(notes.check({ id: 'a' })).toEqual({ ok: true, value: { id: 'a', count: 3 } })
  })

  test('AU-13: says where and what is wrong, without the value', () => {
    expect(issuesOf(notes.check({ id: 7, count: 0, other: 'secret' }))).toEqual([
      'id: Invalid input: expected string, received number',
      'count: Too small: expected number to be >=1',
      'Unrecognized key: "other"',
    ])
  })

  test('an output says what leaves, an input what arrives', () => {
    const schema = z.strictObject({ at: z.string().default('now') })
    expect(compileSchema(schema, 'input').jsonSchema['required']).toBeUndefined()
    expect(compileSchema(schema, 'output').jsonSchema['required']).toEqual(['at'])
  })

  test('one that has to wait is waited for', async () => {
    const slow = compileSchema(z.object({ id: z.string().refine(async (id) => id === 'a', 'is not known') }), 'input')
    await expect(slow.check({ id: 'a' })).resolves.toEqual({ ok: true, value: { id: 'a' } })
    await expect(slow.check({ id: 'b' })).resolves.toEqual({ ok: false, issues: ['id: is not known'] })
  })

  test('one that strips is told as open', () => {
    expect(compileSchema(z.object({}), 'input').open).toBe(true)
  })

  const foreign = (jsonSchema?: object) =>
    ({
      '~standard': { version: 1, vendor: 'other', validate: (value: unknown) => ({ value }), ...jsonSchema },
    }) as SchemaLike

  test('another library is asked through the standard', () => {
    const schema = foreign({ jsonSchema: { input: () => ({ type: 'object', title: 'in' }), output: () => ({}) } })
    expect(compileSchema(schema, 'input').jsonSchema).toEqual({ type: 'object', title: 'in' })
  })

  test('a library that cannot say JSON Schema is refused with advice', () => {
    expect(() => compileSchema(foreign(), 'input')).toThrow(
      'other cannot say this schema as JSON Schema; give the input as a JSON Schema instead',
    )
  })

  test('issues are few, short and on one line', () => {
    const noisy = {
      '~standard': {
        version: 1,
        vendor: 'noisy',
        validate: () => ({
          issues: Array.from({ length: 100 }, () => ({
            message: `bad\r\n${'x'.repeat(1000)}`,
            path: ['p'.repeat(1000)],
          })),
        }),
        jsonSchema: { input: () => ({ type: 'object' }), output: () => ({ type: 'object' }) },
      },
    } as unknown as SchemaLike
    const issues = issuesOf(compileSchema(noisy, 'input').check({}))
    expect(issues).toHaveLength(20)
    for (const issue of issues) {
      expect(issue.length).toBeLessThanOrEqual(256)
      expect(issue).not.toMatch(/[\r\n]/)
    }
  })
})

describe('a JSON Schema', () => {
  const compile = (schema: JsonSchema) => compileSchema(schema, 'input')

  test('is listed key for key', () => {
    const schema = {
      $schema: draft2020,
      type: 'object',
      $defs: { address: { $anchor: 'a', type: 'object', properties: { street: { type: 'string' } } } },
      properties: { name: { type: 'string' }, address: { $ref: '#/$defs/address' } },
      allOf: [{ anyOf: [{ required: ['name'] }, { required: ['address'] }] }],
      if: { required: ['address'] },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { required: ['name'] },
      else: {},
      additionalProperties: false,
    }
    const compiled = compile(schema)
    expect(JSON.stringify(compiled.jsonSchema)).toBe(JSON.stringify(schema))
    expect(issuesOf(compiled.check({ name: 'a', address: { street: 7 } }))).toEqual(['address.street: must be string'])
    expect(issuesOf(compiled.check({ name: 'a', other: 1 }))).toEqual(['must NOT have additional properties: other'])
  })

  test('cannot be changed afterwards by who wrote it', () => {
    const schema = { type: 'object', properties: { id: { type: 'string' } } }
    const compiled = compile(schema)
    schema.properties.id.type = 'number'
    expect(compiled.jsonSchema).toEqual({ type: 'object', properties: { id: { type: 'string' } } })
    expect(Object.isFrozen((compiled.jsonSchema['properties'] as JsonSchema)['id'])).toBe(true)
  })

  test('TR-16: what every object inherits is no property', () => {
    const compiled = compile({ type: 'object', required: ['constructor', 'toString'] })
    expect(issuesOf(compiled.check({}))).toEqual(["must have required property 'constructor'"])
    expect(
      compile({ type: 'object', properties: { constructor: { type: 'string' } }, additionalProperties: false }).check(
        {},
      ),
    ).toEqual({ ok: true, value: {} })
  })

  test('draft-07 is understood where it is named', () => {
    const tuple = { type: 'array', items: [{ type: 'string' }], additionalItems: false }
    const schema = { $schema: 'http://json-schema.org/draft-07/schema#', type: 'object', properties: { tuple } }
    expect(issuesOf(compile(schema).check({ tuple: ['a', 'b'] }))).toEqual(['tuple: must NOT have more than 1 items'])
    expect(compile(schema).jsonSchema).toEqual(schema)
  })

  test('2020-12 is meant where none is named', () => {
    const tuple = { type: 'array', prefixItems: [{ type: 'string' }], items: false }
    expect(issuesOf(compile({ type: 'object', properties: { tuple } }).check({ tuple: ['a', 'b'] }))).toEqual([
      'tuple: must NOT have more than 1 items',
    ])
  })

  test('formats tell people something and check nothing', () => {
    const compiled = compile({ type: 'object', properties: { at: { type: 'string', format: 'moon-phase' } } })
    expect(compiled.check({ at: 'x' })).toEqual({ ok: true, value: { at: 'x' } })
  })

  test('the same $id in two schemas keeps them apart', () => {
    const first = compile({ $id: 'same', type: 'object', required: ['a'] })
    const second = compile({ $id: 'same', type: 'object', required: ['b'] })
    expect(issuesOf(first.check({}))).toEqual(["must have required property 'a'"])
    expect(issuesOf(second.check({}))).toEqual(["must have required property 'b'"])
  })

  test('a property named like a keyword is a property', () => {
    const compiled = compile({
      type: 'object',
      properties: { $ref: { type: 'string' } },
      default: { $ref: 'http://x' },
    })
    expect(compiled.check({ $ref: 'a' })).toEqual({ ok: true, value: { $ref: 'a' } })
  })

  const cyclic: { [key: string]: unknown } = { type: 'object' }
  cyclic['properties'] = { self: cyclic }
  const deep = (levels: number): JsonSchema =>
    levels === 0 ? { type: 'string' } : { type: 'object', properties: { x: deep(levels - 1) } }

  test.each<[string, JsonSchema, string]>([
    [
      'another dialect',
      { $schema: 'http://json-schema.org/draft-04/schema#', type: 'object' },
      'draft-04/schema#; understood are 2020-12 and draft-07',
    ],
    [
      'a dialect that changes inside',
      { type: 'object', $defs: { a: { $schema: draft2020 } } },
      'changes its dialect at #/$defs/a',
    ],
    ['no object', { type: 'array' }, '"type": "object"'],
    ['no type', {}, '"type": "object"'],
    [
      'AU-13: a reference to the network',
      { type: 'object', properties: { a: { $ref: 'https://evil.example/s' } } },
      'refers to https://evil.example/s, which is not in it',
    ],
    [
      'a reference to the dialect itself',
      { type: 'object', properties: { a: { $ref: draft2020 } } },
      'which is not in it',
    ],
    [
      'a dynamic reference to the network',
      { type: 'object', allOf: [{ $dynamicRef: '//evil.example/s#a' }] },
      'which is not in it',
    ],
    [
      'a reference to nothing',
      { type: 'object', properties: { a: { $ref: '#/$defs/a' } } },
      "can't resolve reference #/$defs/a",
    ],
    ['a keyword with a wrong value', { type: 'object', required: 'a' }, 'schema is invalid'],
    [
      'a pattern that does not parse',
      { type: 'object', properties: { a: { pattern: '(' } } },
      'Invalid regular expression',
    ],
    ['a boolean property', { type: 'object', properties: { a: true } }, 'clients expect {} for true'],
    ['a schema that checks later', { $async: true, type: 'object' }, '$async'],
    ['itself inside', cyclic, 'nested deeper than 64 levels'],
    ['depth', deep(40), 'nested deeper than 64 levels'],
    ['size', { type: 'object', enum: Array.from({ length: 20_000 }, (_, i) => i) }, 'more than 20000 values'],
  ])('is refused for %s', (_name, schema, reason) => {
    expect(() => compile(schema)).toThrow(reason)
  })

  test('what is no schema is refused', () => {
    expect(() => compileSchema([] as unknown as SchemaLike, 'input')).toThrow('neither a Standard Schema nor')
  })
})

describe('uniqueItems', () => {
  const unique = compileSchema({ type: 'object', properties: { list: { type: 'array', uniqueItems: true } } }, 'input')
  const isUnique = (list: readonly unknown[]) => issuesOf(unique.check({ list })).length === 0

  test.each<[boolean, unknown[]]>([
    [true, []],
    [true, [1, '1', true, 'true', null, 'null', [], {}, '{}', '"1"']],
    [
      false,
      [
        { a: 1, b: [2] },
        { b: [2], a: 1 },
      ],
    ],
    [
      true,
      [
        [1, 2],
        [2, 1],
      ],
    ],
    [false, ['a', 'b', 'a']],
    [false, [0, -0]],
  ])('is %s of %j', (expected, list) => {
    expect(isUnique(list)).toBe(expected)
  })

  test('is a promise about equal JSON, in whatever order it is written', () => {
    const reversed = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(reversed)
        : typeof value === 'object' && value !== null
          ? Object.fromEntries(
              Object.entries(value)
                .reverse()
                .map(([key, inner]) => [key, reversed(inner)]),
            )
          : value
    fc.assert(
      fc.property(fc.jsonValue(), (value) => !isUnique([value, reversed(JSON.parse(JSON.stringify(value)))])),
      { numRuns: 50 },
    )
  })

  test('AU-15: a large array of different items takes one pass', () => {
    expect(isUnique(Array.from({ length: 50_000 }, (_, i) => ({ i })))).toBe(true)
  })
})

test('any JSON gives an answer that is a value or at least one issue', () => {
  const schemas = [
    compileSchema(z.strictObject({ a: z.string().optional(), b: z.array(z.int()).optional() }), 'input'),
    compileSchema(
      {
        type: 'object',
        properties: { a: { type: 'string' }, b: { items: { type: 'integer' } } },
        additionalProperties: false,
      },
      'input',
    ),
  ]
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.record({ a: fc.jsonValue(), b: fc.jsonValue() })), (value) => {
      const [one, other] = schemas.map((schema) => issuesOf(schema.check(value)))
      for (const issues of [one!, other!]) expect(issues.every((issue) => issue.length > 0)).toBe(true)
    }),
    { numRuns: 100 },
  )
})
