import { hash } from 'node:crypto'

/*
 * The tree of RFC 9162 §2.1 (the same as RFC 6962 §2.1) with SHA-256. Hashes are texts: 43 characters of base64url outside;
 * inside the range those of nodes are a character for each byte, which costs a quarter of a buffer.
 */

/** What the hash of a leaf is made of: 0x00 and the line, without its end. */
export function leafOf(line: string): string {
  return `\0${line}`
}

/** The hash of the leaf that a line makes. */
export function leafHash(line: string): string {
  return hashLeaf(leafOf(line))
}

/** SHA-256 of a leaf. */
export function hashLeaf(leaf: string): string {
  return hash('sha256', leaf, 'base64url')
}

/** What stands before the first line of a log, where others name the line before. */
export const noLine = 'A'.repeat(43)

/** The root of a tree without leaves: SHA-256 of nothing. */
const emptyRoot = hash('sha256', '', 'base64url')

const textLength = 43
const pair = Buffer.alloc(65)
pair[0] = 1

/** Takes hashes in either form. */
function nodeHash(left: string, right: string): string {
  pair.write(left, 1, left.length === textLength ? 'base64url' : 'binary')
  pair.write(right, 33, right.length === textLength ? 'base64url' : 'binary')
  return hash('sha256', pair, 'binary')
}

function toBytes(text: string): string {
  return Buffer.from(text, 'base64url').toString('binary')
}

function toText(bytes: string): string {
  if (bytes.length === textLength) return bytes
  return Buffer.from(bytes, 'binary').toString('base64url')
}

/**
 * The tree over all leaves so far, kept as the roots of its complete subtrees, the largest first: one for each bit of the
 * size that is set. Enough to append and to tell the root; not to prove a leaf.
 */
export class CompactRange {
  #size = 0
  #roots: string[] = []

  /** Throws where there are not as many roots as a tree of this size has. */
  static from(size: number, peaks: readonly string[]): CompactRange {
    const range = new CompactRange()
    if (!Number.isSafeInteger(size) || size < 0 || peaks.length !== ones(size)) {
      throw new RangeError(`a tree of ${size} leaves has another number of peaks than ${peaks.length}`)
    }
    range.#size = size
    range.#roots = peaks.map(toBytes)
    if (range.#roots.some((root) => root.length !== 32)) throw new RangeError('a peak is no hash')
    return range
  }

  get size(): number {
    return this.#size
  }

  append(leaf: string): void {
    let node = leaf
    for (let size = this.#size; size % 2 === 1; size = (size - 1) / 2) node = nodeHash(this.#roots.pop()!, node)
    this.#roots.push(node)
    this.#size++
  }

  root(): string {
    if (this.#size === 0) return emptyRoot
    return toText(this.#roots.reduceRight((right, left) => nodeHash(left, right)))
  }

  peaks(): string[] {
    return this.#roots.map(toText)
  }

  clone(): CompactRange {
    const copy = new CompactRange()
    copy.#size = this.#size
    copy.#roots = [...this.#roots]
    return copy
  }
}

function ones(size: number): number {
  let count = 0
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2
  return count
}
