import { readFileSync } from 'node:fs'

const headBytes = 12
const fixedBytes = 62
const bytesMax = 134_217_728

/**
 * The paths that git follows, from its index (gitformat-index, versions 2 and 3), so that no program of the repository's
 * choosing is run. `undefined` where there is no index or it is of another kind.
 */
export function trackedPaths(path: string): ReadonlySet<string> | undefined {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch {
    return undefined
  }
  if (bytes.length < headBytes || bytes.length > bytesMax || bytes.toString('latin1', 0, 4) !== 'DIRC') return undefined
  const version = bytes.readUInt32BE(4)
  if (version !== 2 && version !== 3) return undefined
  const paths = new Set<string>()
  let at = headBytes
  for (let left = bytes.readUInt32BE(8); left > 0; left--) {
    if (at + fixedBytes > bytes.length) return undefined
    const extended = (bytes.readUInt16BE(at + 60) & 0x4000) !== 0
    const from = at + fixedBytes + (extended ? 2 : 0)
    const end = bytes.indexOf(0, from)
    if (end === -1) return undefined
    paths.add(bytes.toString('utf8', from, end))
    // Padded with 1 to 8 zeros to a multiple of eight.
    at += Math.ceil((end - at + 1) / 8) * 8
  }
  return paths
}
