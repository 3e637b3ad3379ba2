import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Recent } from './recent.ts'

it('never holds more than its bound, and always the latest half of it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 20 }), fc.array(fc.nat(30), { maxLength: 200 }), (max, asked) => {
      const recent = new Recent<number>(max)
      for (const [i, key] of asked.entries()) {
        if (recent.get(String(key)) === undefined) recent.set(String(key), key)
        expect(recent.size).toBeLessThanOrEqual(max)
        const latest = [...new Set(asked.slice(0, i + 1).reverse())].slice(0, Math.floor(max / 2))
        const held = new Set(recent.values())
        for (const each of latest) expect(held.has(each)).toBe(true)
      }
    }),
  )
})

it('forgets what is deleted, from either half', () => {
  const recent = new Recent<number>(4)
  for (const key of ['a', 'b', 'c']) recent.set(key, 1)
  recent.delete('a')
  recent.delete('c')
  expect([recent.get('a'), recent.get('b'), recent.get('c'), recent.size]).toEqual([undefined, 1, undefined, 1])
})
