import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import type { JsonSchema } from './define.ts'
import { headerParams } from './header-params.ts'
import { compileSchema } from './schema.ts'

describe('TR-17: parameters that travel in headers', () => {
  test('are found at any depth of plain properties', () => {
    const schema = {
      type: 'object',
      properties: {
        region: { type: 'string', 'x-mcp-header': 'Region' },
        target: { type: 'object', properties: { properties: { type: 'integer', 'x-mcp-header': 'Shard-Id' } } },
        dry: { type: 'boolean', 'x-mcp-header': 'dry' },
      },
    }
    expect(headerParams(schema)).toEqual([
      { header: 'mcp-param-region', path: ['region'], type: 'string' },
      { header: 'mcp-param-shard-id', path: ['target', 'properties'], type: 'integer' },
      { header: 'mcp-param-dry', path: ['dry'], type: 'boolean' },
    ])
  })

  test('can be marked in zod', () => {
    const input = z.strictObject({ region: z.string().meta({ 'x-mcp-header': 'Region' }) })
    expect(headerParams(compileSchema(input, 'input').jsonSchema)).toEqual([
      { header: 'mcp-param-region', path: ['region'], type: 'string' },
    ])
  })

  test('a property, a default or an example of that name is no mark', () => {
    const schema = {
      type: 'object',
      properties: { 'x-mcp-header': { type: 'string' } },
      default: { 'x-mcp-header': 'a' },
      examples: [{ 'x-mcp-header': 'a' }],
    }
    expect(headerParams(schema)).toEqual([])
  })

  const mark = { type: 'string', 'x-mcp-header': 'A' }
  const one = (property: JsonSchema) => ({ properties: { a: property } })
  test.each<[string, JsonSchema, string]>([
    ['empty', one({ ...mark, 'x-mcp-header': '' }), 'of a is not a header name'],
    ['a space', one({ ...mark, 'x-mcp-header': 'a b' }), 'of a is not a header name'],
    ['a line break', one({ ...mark, 'x-mcp-header': 'a\r\nb' }), 'of a is not a header name'],
    ['not a string', one({ ...mark, 'x-mcp-header': true }), 'of a is not a header name'],
    ['a number', one({ type: 'number', 'x-mcp-header': 'A' }), 'of a stands on a property whose type is not'],
    ['no type', one({ enum: ['a'], 'x-mcp-header': 'A' }), 'of a stands on a property whose type is not'],
    [
      'several types',
      one({ type: ['string', 'null'], 'x-mcp-header': 'A' }),
      'of a stands on a property whose type is not',
    ],
    ['an object', one({ type: 'object', 'x-mcp-header': 'A' }), 'of a stands on a property whose type is not'],
    [
      'an unsafe integer',
      one({ type: 'integer', maximum: 2 ** 53, 'x-mcp-header': 'A' }),
      'of a stands on an integer beyond',
    ],
    [
      'the same name in another case',
      { properties: { a: mark, b: { ...mark, 'x-mcp-header': 'a' } } },
      'of b is the same as that of a',
    ],
    ['the root', { ...mark }, 'of #/ does not stand on a property'],
    ['items', one({ type: 'array', items: mark }), 'of #/properties/a/items does not'],
    ['allOf', { allOf: [one(mark)] }, 'of #/allOf/0/properties/a does not'],
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    ['then', { if: {}, then: one(mark) }, 'of #/then/properties/a does not'],
    ['$defs', { $defs: { d: mark }, properties: { a: { $ref: '#/$defs/d' } } }, 'of #/$defs/d does not'],
    ['additionalProperties', { additionalProperties: mark }, 'of #/additionalProperties does not'],
    ['patternProperties', { patternProperties: { '^a': mark } }, 'of #/patternProperties/^a does not'],
    ['a keyword that nobody knows', { 'x-more': one(mark) }, 'of #/x-more/properties/a does not'],
  ])('are refused for %s', (_name, schema, reason) => {
    expect(() => headerParams({ type: 'object', ...schema })).toThrow(reason)
  })
})
