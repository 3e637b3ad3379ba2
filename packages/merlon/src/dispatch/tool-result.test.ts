import { describe, expect, test } from 'vitest'
import { Content, content, failure, image, structured, text } from '../catalog/content.ts'
import { statefulRevision } from '../wire/revision-2025-11-25.ts'
import { statelessRevision } from '../wire/revision-2026-07-28.ts'
import { encodeToolResult } from './tool-result.ts'

const stateful = statefulRevision('2025-11-25')
const stateless = statelessRevision({ name: 's', version: '1' })
const encode = (value: unknown, isStructured: boolean, revision = stateless) =>
  JSON.parse(`{${encodeToolResult(value, isStructured, revision)}}`) as object
const block = (said: string) => ({ type: 'text', text: said })

describe.each([
  ['2026-07-28', stateless],
  ['2025-11-25', stateful],
])('a tool result in %s', (_, revision) => {
  test.each<[string, unknown, string]>([
    ['a text', 'line\n"quoted" \u2028', 'line\n"quoted" \u2028'],
    ['an empty text', '', ''],
    ['a number', 7, '7'],
    ['a truth value', false, 'false'],
    ['null', null, 'null'],
    ['a list', [1, 'x'], '[1,"x"]'],
    ['an object', { a: { b: 1 } }, '{"a":{"b":1}}'],
    ['an object with toJSON', new Date(0), '"1970-01-01T00:00:00.000Z"'],
    ['an object that looks like a result', { content: [], isError: true }, '{"content":[],"isError":true}'],
    ['NaN', Number.NaN, 'null'],
  ])('%s goes as one block of text', (_name, value, said) => {
    expect(encode(value, false, revision)).toEqual({ content: [block(said)] })
  })

  test('nothing goes as no block', () => {
    expect(encode(undefined, false, revision)).toEqual({ content: [] })
    expect(encode(undefined, true, revision)).toEqual({ content: [] })
  })

  test('an object that is declared goes as structure too', () => {
    expect(encode({ a: 1 }, true, revision)).toEqual({ content: [block('{"a":1}')], structuredContent: { a: 1 } })
  })

  test('what was built goes as it was built', () => {
    const picture = image(Buffer.from('x'), 'image/png')
    expect(encode(content(text('a'), picture), false, revision)).toEqual({ content: [block('a'), picture] })
    expect(encode(failure('no', text('way')), false, revision)).toEqual({
      content: [block('no'), block('way')],
      isError: true,
    })
    expect(encode(structured({ a: 1 }, text('one')), true, revision)).toEqual({
      content: [block('one')],
      structuredContent: { a: 1 },
    })
    expect(encode(new Content([], undefined, false), false, revision)).toEqual({ content: [] })
  })

  test('what JSON cannot say is an error, never half an answer', () => {
    const circle: Record<string, unknown> = {}
    circle['self'] = circle
    for (const value of [10n, circle, () => 1, Symbol('x')])
      expect(() => encodeToolResult(value, false, revision)).toThrow(TypeError)
  })
})

test('up to 2025-11-25 structure that is no object goes as text alone', () => {
  for (const value of [[1], 7, null, 'x']) {
    expect(encode(structured(value, text('x')), false, stateful)).not.toHaveProperty('structuredContent')
    expect(encode(structured(value, text('x')), false, stateless)).toHaveProperty('structuredContent', value)
  }
  expect(encode([1], true, stateful)).toEqual({ content: [block('[1]')] })
  expect(encode([1], true, stateless)).toEqual({ content: [block('[1]')], structuredContent: [1] })
})
