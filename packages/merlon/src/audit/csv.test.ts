import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyText } from '../text.fixture.ts'
import { csvCell } from './csv.ts'

test.each([
  ['plain', '"plain"'],
  ['with "quotes", commas', '"with ""quotes"", commas"'],
  ['=1+1', '"\'=1+1"'],
  ['  @x', '"\'  @x"'],
  ['＝1', '"\'＝1"'],
  ['-1', '"\'-1"'],
  ['|cmd', '"\'|cmd"'],
  ['a=1', '"a=1"'],
  ['two\r\nlines', '"two\\u000d\\u000alines"'],
  ['\u001b[31mred\u202e', '"\\u001b[31mred\\u202e"'],
  [-5, '-5'],
  [true, 'true'],
  [undefined, ''],
])('AD-09: a cell of %j is %s', (value, cell) => expect(csvCell(value)).toBe(cell))

test('AD-09: no text ends its cell, begins a line or is calculated', () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      const cell = csvCell(text)
      expect(cell).toMatch(/^"(?:[^"\r\n]|"")*"$/)
      expect(cell.slice(1)).not.toMatch(/^\s*[=+\-@|%]/)
      expect(cell).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/)
    }),
    { numRuns: 300 },
  )
})
