import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Canaries, find } from './canaries.ts'

const forms: readonly [string, (text: string) => Buffer][] = [
  ['raw', (text) => Buffer.from(text)],
  ['JSON', (text) => Buffer.from(JSON.stringify({ text }))],
  ['a URL', (text) => Buffer.from(encodeURIComponent(text))],
  ['Base64', (text) => Buffer.from(Buffer.from(text).toString('base64'))],
  ['Base64 for URLs', (text) => Buffer.from(Buffer.from(text).toString('base64url'))],
  ['Base64 behind one byte', (text) => Buffer.from(Buffer.from(`x${text}yz`).toString('base64'))],
  ['Base64 behind two', (text) => Buffer.from(Buffer.from(`xy${text}z`).toString('base64'))],
  ['hexadecimal', (text) => Buffer.from(Buffer.from(text).toString('hex'))],
  ['hexadecimal in capitals', (text) => Buffer.from(Buffer.from(text).toString('hex').toUpperCase())],
  ['UTF-16', (text) => Buffer.from(text, 'utf16le')],
]

describe('the search for canaries', () => {
  test.each(forms)('finds one that was written as %s', (_, write) => {
    for (let times = 0; times < 20; times++) {
      const canaries = new Canaries()
      const text = times % 2 === 0 ? canaries.text('planted') : canaries.word('planted')
      const place = Buffer.concat([randomBytes(100), write(text), randomBytes(100)])
      expect(find(canaries.all, new Map([['there', place]])).map(({ what, place: at }) => [what, at])).toContainEqual([
        'planted',
        'there',
      ])
    }
  })

  test('finds nothing where nothing was planted', () => {
    const canaries = new Canaries()
    for (let times = 0; times < 100; times++) canaries.text('planted')
    expect(find(canaries.all, new Map([['there', randomBytes(1_000_000)]]))).toEqual([])
  })
})
