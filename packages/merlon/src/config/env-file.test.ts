import { expect, test } from 'vitest'
import { parseEnvFile } from './env-file.ts'

const values = (text: string): Record<string, string> =>
  Object.fromEntries(parseEnvFile(text).entries.map(({ name, value }) => [name, value]))

test('names, quotes, comments and exports are understood', () => {
  expect(
    values(
      [
        '# a comment',
        'PLAIN=value # why',
        'export EXPORTED = spaced ',
        "SINGLE='a # b $HOME'",
        'DOUBLE="line\\nnext \\"quoted\\" \\$HOME" # why',
        'HASH=a#b',
        'EMPTY=',
        'ASKED= # nothing',
        'WINDOWS=yes\r',
      ].join('\n'),
    ),
  ).toEqual({
    PLAIN: 'value',
    EXPORTED: 'spaced',
    SINGLE: 'a # b $HOME',
    DOUBLE: 'line\nnext "quoted" $HOME',
    HASH: 'a#b',
    EMPTY: '',
    ASKED: '',
    WINDOWS: 'yes',
  })
})

test.each([
  ['canary value', 'is not NAME=value'],
  ['1NAME=canary', 'is not NAME=value'],
  ['A="canary', 'A has a quote that is not closed on its line'],
  ["A='canary' canary", 'A has a quote that is not closed on its line'],
  ['A="bad \\q canary"', 'A has a quote that is not closed on its line'],
  ['A=1\nA=canary', 'A is set twice'],
])('%j is a problem that quotes no value', (text, says) => {
  const { problems } = parseEnvFile(text)
  expect(problems).toEqual([{ line: text.split('\n').length, says }])
})
