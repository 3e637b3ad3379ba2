import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { type SecretFile, secretFile } from '../private-file.ts'

/** A text file as the operator left it, and who can read it: `mode` is `0o600`, or zero where the system has none. */
export interface FoundFile extends SecretFile {
  readonly text: string
}

/** How the configuration reads files, so that a test can pass its own. */
export interface ConfigFiles {
  /** The file's text; `undefined` where there is none; a sentence where it cannot be used. */
  read(path: string): FoundFile | { readonly problem: string } | undefined
}

const bytesMax = 1_048_576
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export const diskFiles: ConfigFiles = Object.freeze({ read: readFile })

function readFile(path: string): ReturnType<ConfigFiles['read']> {
  let file: number
  try {
    // Not blocking, so that a named pipe in the place of a file cannot hold up the start.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (thrown) {
    if (!(thrown instanceof Error) || !('code' in thrown)) throw thrown
    if (thrown.code === 'ENOENT' || thrown.code === 'ENOTDIR') return undefined
    return { problem: `cannot be opened (${String(thrown.code)})` }
  }
  try {
    const found = fstatSync(file)
    if (!found.isFile()) return { problem: 'is not a file' }
    if (found.size > bytesMax) return { problem: 'is larger than 1 MiB' }
    const bytes = readFileSync(file)
    if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
      return { problem: 'begins with a byte order mark; save it as UTF-8 without one' }
    }
    return { text: strictUtf8.decode(bytes), ...secretFile(path, found) }
  } catch (thrown) {
    return { problem: thrown instanceof TypeError ? 'is not UTF-8' : 'cannot be read' }
  } finally {
    closeSync(file)
  }
}
