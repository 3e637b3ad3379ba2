/**
 * Lines on their way to the disk, each given as its leaf: a 0x00 and the line, the text that was hashed. That text is in one
 * piece already, so it is what is encoded, and its first byte becomes the end of the line before.
 */
export class LineBatch {
  private leaves: string[] = []
  private units = 0

  get isEmpty(): boolean {
    return this.leaves.length === 0
  }

  push(leaf: string): void {
    this.leaves.push(leaf)
    this.units += leaf.length
  }

  clear(): void {
    this.leaves = []
    this.units = 0
  }

  /** The lines in UTF-8, each with its end. */
  bytes(): Buffer {
    if (this.isEmpty) return none
    // No text is longer in UTF-8 than three bytes for each of its units; most of ours are ASCII.
    let room = Buffer.allocUnsafe(this.units + slack)
    let at = 0
    for (const leaf of this.leaves) {
      if (room.length - at < leaf.length * 3 + 1)
        room = Buffer.concat([room.subarray(0, at)], at * 2 + leaf.length * 3 + slack)
      const length = room.write(leaf, at)
      room[at] = lineEnd
      at += length
    }
    room[at++] = lineEnd
    return room.subarray(1, at)
  }

  text(): string {
    return this.leaves.map((leaf) => `${leaf.slice(1)}\n`).join('')
  }
}

const lineEnd = 0x0a
const slack = 65_536
const none = Buffer.alloc(0)
