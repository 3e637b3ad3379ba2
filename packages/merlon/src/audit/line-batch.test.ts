import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { LineBatch } from './line-batch.ts'
import { leafOf } from './merkle.ts'

const batchOf = (lines: readonly string[]) => {
  const batch = new LineBatch()
  for (const line of lines) batch.push(leafOf(line))
  return batch
}
const written = (lines: readonly string[]) => Buffer.from(lines.map((line) => `${line}\n`).join(''))

test('AL-02: the bytes on the disk are the lines that were hashed, each with its end', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), (lines) => {
      const batch = batchOf(lines)
      expect(batch.bytes()).toEqual(written(lines))
      expect(batch.text()).toBe(lines.map((line) => `${line}\n`).join(''))
      expect(batch.isEmpty).toBe(lines.length === 0)
    }),
  )
})

test('lines that take three bytes for each character find room, however many they are', () => {
  const lines = Array.from({ length: 40 }, (_, at) => `${at} ${'世'.repeat(20_000)}`)
  const batch = batchOf(lines)
  expect(batch.bytes().equals(written(lines))).toBe(true)
  batch.clear()
  expect(batch.bytes()).toHaveLength(0)
  batch.push(leafOf('after'))
  expect(batch.bytes().toString()).toBe('after\n')
})
