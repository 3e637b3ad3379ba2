import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { basename, dirname, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Problem } from './catalog-error.ts'

interface Place {
  readonly file: string
  readonly line?: number | undefined
  readonly column?: number | undefined
}

/** Says why a file did not import, and where: in the file itself or in one of the project's that it imports. */
export async function importProblem(file: string, project: string, error: unknown): Promise<Problem> {
  const missing = missingImport(error)
  const place =
    missing === undefined
      ? (quotedPlace(error) ?? framePlace(error, project) ?? (await checkedPlace(file, error)))
      : await findImport(missing)
  const why = missing === undefined ? inWords(error) : `cannot find ${missing.what}`
  const by = place === undefined || place.file === file ? '' : ` (imported by ${file})`
  return { file, ...place, reason: `does not load: ${why}${by}` }
}

/** The file did not finish in time. */
export class LateImport extends Error {}

function inWords(error: unknown): string {
  if (error instanceof LateImport) return error.message
  if (!(error instanceof Error)) return `it threw ${String(error).slice(0, 256)}`
  const message = error.message.split('\n', 1)[0]!.slice(0, 512)
  return error instanceof SyntaxError ? message : `it threw ${error.name}: ${message}`
}

/** The place that V8 and the type stripper quote above the stack: `file:line`, the line, and a row of `^`. */
function quotedPlace(error: unknown): Place | undefined {
  if (!(error instanceof SyntaxError)) return undefined
  return quoted(error.stack ?? '')
}

function quoted(text: string): Place | undefined {
  const lines = text.split('\n')
  const head = lines.findIndex((line) => /^(?:file:\/\/|\/|[A-Za-z]:\\).*:[0-9]+$/.test(line))
  if (head < 0) return undefined
  const at = lines[head]!.lastIndexOf(':')
  const caret = lines.slice(head + 1, head + 5).find((line) => /^\s*\^+\s*$/.test(line))
  return {
    file: pathOf(lines[head]!.slice(0, at)),
    line: Number(lines[head]!.slice(at + 1)),
    column: caret === undefined ? undefined : caret.indexOf('^') + 1,
  }
}

/** The topmost frame of the stack that lies in the project. */
function framePlace(error: unknown, project: string): Place | undefined {
  if (!(error instanceof Error)) return undefined
  for (const line of (error.stack ?? '').split('\n')) {
    const frame = /^\s+at .*?((?:file:\/\/|\/|[A-Za-z]:\\)[^()]*):([0-9]+):([0-9]+)\)?$/.exec(line)
    if (frame === null) continue
    const file = pathOf(frame[1]!)
    if (file.startsWith(project + sep) && !file.includes(`${sep}node_modules${sep}`))
      return { file, line: Number(frame[2]), column: Number(frame[3]) }
  }
  return undefined
}

interface MissingImport {
  readonly what: string
  readonly from: string
  /** What the line that imports it holds. */
  readonly text: string
}

function missingImport(error: unknown): MissingImport | undefined {
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') return undefined
  const match = /^Cannot find (package|module) '([^']*)' imported from (.*)$/.exec(error.message)
  if (match === null) return undefined
  const [, kind, name = '', from = ''] = match
  const text = kind === 'package' ? name : basename(pathOf(name))
  return { what: kind === 'package' ? `the package ${name}` : pathOf(name), from: pathOf(from), text }
}

async function findImport({ from, text }: MissingImport): Promise<Place> {
  const source = await readFile(from, 'utf8').catch(() => '')
  const index = source.split('\n').findIndex((line) => line.includes(text))
  return { file: from, line: index < 0 ? undefined : index + 1 }
}

const filesMax = 200

/**
 * V8 keeps the place of a syntax error in JavaScript to itself; `node --check` prints it, and runs nothing. Looks at the
 * file, then at the files it imports.
 */
async function checkedPlace(file: string, error: unknown): Promise<Place | undefined> {
  if (!(error instanceof SyntaxError)) return undefined
  const files = [file]
  const seen = new Set(files)
  for (let next = files.shift(); next !== undefined; next = files.shift()) {
    const source = await readFile(next, 'utf8').catch(() => '')
    const printed = await check(next)
    // Types are not stripped here: of a file with types only the same complaint counts.
    if (printed.includes(`SyntaxError: ${error.message}\n`)) return quoted(printed)
    for (const [, specifier] of source.matchAll(/\b(?:from|import)\s*\(?\s*['"](\.{1,2}\/[^'"\n]+)['"]/g)) {
      const imported = resolve(dirname(next), specifier!)
      if (!seen.has(imported) && seen.size < filesMax) files.push(imported)
      seen.add(imported)
    }
  }
  return undefined
}

function check(file: string): Promise<string> {
  return new Promise((done) => {
    // With an empty environment: the options of this process are none of its business.
    execFile(process.execPath, ['--check', file], { env: {}, timeout: 5_000 }, (_error, _out, printed) => done(printed))
  })
}

function pathOf(urlOrPath: string): string {
  return urlOrPath.startsWith('file:') ? fileURLToPath(urlOrPath) : urlOrPath
}
