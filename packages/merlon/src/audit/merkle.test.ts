import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CompactRange, leafHash } from './merkle.ts'

/** The definition of RFC 6962 §2.1, word for word. */
function rootOf(leaves: readonly Buffer[]): Buffer {
  const sha = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
  if (leaves.length === 0) return sha()
  if (leaves.length === 1) return sha(Buffer.of(0), leaves[0]!)
  let half = 1
  while (half * 2 < leaves.length) half *= 2
  return sha(Buffer.of(1), rootOf(leaves.slice(0, half)), rootOf(leaves.slice(half)))
}
const rangeOf = (lines: readonly string[]) => {
  const range = new CompactRange()
  for (const line of lines) range.append(leafHash(line))
  return range
}

describe('the tree', () => {
  test('has the roots of the published test vectors of RFC 6962', () => {
    const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
    const roots = [
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
      'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
      '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
      'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
      '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
    ]
    const lines = inputs.map((hex) => Buffer.from(hex, 'hex').toString('utf8'))
    for (const [size, root] of roots.entries())
      expect(Buffer.from(rangeOf(lines.slice(0, size)).root(), 'base64url').toString('hex')).toBe(root)
  })

  test('has the root of the definition, for any lines', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 70 }), (lines) => {
        const root = rootOf(lines.map((line) => Buffer.from(line)))
        expect(rangeOf(lines).root()).toBe(root.toString('base64url'))
      }),
      { numRuns: 100 },
    )
  })

  test('goes on from its peaks as if it had never stopped', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 40 }), fc.nat({ max: 40 }), (lines, stop) => {
        const before = rangeOf(lines.slice(0, stop))
        const after = CompactRange.from(before.size, before.peaks())
        for (const line of lines.slice(stop)) after.append(leafHash(line))
        expect(after.root()).toBe(rangeOf(lines).root())
      }),
      { numRuns: 100 },
    )
  })

  test.each([
    [1, []],
    [0, ['A'.repeat(43)]],
    [3, ['A'.repeat(43)]],
    [-1, []],
    [1.5, ['A'.repeat(43)]],
    [1, ['A'.repeat(42)]],
  ])('of %d leaves is not made from peaks that are not its own', (size, peaks) => {
    expect(() => CompactRange.from(size, peaks)).toThrow(RangeError)
  })
})
