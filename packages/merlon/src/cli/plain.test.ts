import { expect, test } from 'vitest'
import { cell, json, lines, plain, table } from './plain.ts'

test('what a terminal would act on, or what hides text, is written out', () => {
  expect(plain('a\u001b[31mb\u0007\u009b\r\n\u202e\u200b\u2028é中')).toBe(
    String.raw`a\u001b[31mb\u0007\u009b\u000d\u000a\u202e\u200b\u2028é中`,
  )
})

test('JSON keeps its meaning and carries nothing that a terminal would act on', () => {
  const value = { name: 'a\u001b[2J\u202eb', list: ['\u009b'] }
  const text = json(value)
  expect(JSON.parse(text)).toEqual(value)
  expect(text).not.toMatch(/[\u001b\u009b\u202e]/)
})

test.each([
  [undefined, '-'],
  ['', '-'],
  [null, '-'],
  [[], 'none'],
  [['read', 'write'], 'read,write'],
  [true, 'yes'],
  [false, 'no'],
  [0, '0'],
  ['2026-12-21T22:56:59.473Z', '2026-12-21T22:56:59Z'],
  ['a\nb', String.raw`a\u000ab`],
  [{ a: 1 }, '{"a":1}'],
])('the cell of %j is %s', (value, text) => {
  expect(cell(value)).toBe(text)
})

test('columns are aligned, and no line ends in spaces', () => {
  expect(
    table(
      ['ID', 'NAME'],
      [
        ['1', 'ann'],
        ['22', ''],
      ],
    ),
  ).toBe('ID  NAME\n1   ann\n22')
  expect(lines({ lastUsedAt: undefined, name: 'ann' })).toBe('last used at  -\nname          ann')
})
