/** One line of an `.env` file that means something. */
export interface EnvEntry {
  readonly name: string
  readonly value: string
  readonly line: number
}

export interface EnvFile {
  readonly entries: readonly EnvEntry[]
  readonly problems: readonly { readonly line: number; readonly says: string }[]
}

const entry = /^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*)$/
const quoted = /^(?:'([^']*)'|"((?:[^"\\]|\\["\\$nrt])*)")[ \t]*(?:#.*)?$/
const escapes: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
])

/**
 * Parses `.env`: `NAME=value`, `export NAME=value`, quotes of either kind, `#` comments. Nothing is expanded. A line
 * that is none of these, a name set twice and a value over several lines are problems: a value that is quietly cut or
 * ignored is how a wrong key comes into use. Problems never quote a line.
 */
export function parseEnvFile(text: string): EnvFile {
  const entries: EnvEntry[] = []
  const problems: { line: number; says: string }[] = []
  const seen = new Set<string>()
  for (const [index, raw] of text.split('\n').entries()) {
    const line = index + 1
    const trimmed = raw.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    const [, name, rest = ''] = entry.exec(trimmed) ?? []
    if (name === undefined) {
      problems.push({ line, says: 'is not NAME=value' })
      continue
    }
    const value = unquoted(rest)
    if (value === undefined) problems.push({ line, says: `${name} has a quote that is not closed on its line` })
    else if (seen.has(name)) problems.push({ line, says: `${name} is set twice` })
    else {
      seen.add(name)
      entries.push({ name, value, line })
    }
  }
  return { entries, problems }
}

function unquoted(rest: string): string | undefined {
  if (rest.startsWith("'") || rest.startsWith('"')) {
    const found = quoted.exec(rest)
    if (found === null) return undefined
    return found[1] ?? found[2]!.replace(/\\(.)/g, (_, char: string) => escapes.get(char) ?? char)
  }
  return rest.replace(/(?:^|[ \t]+)#.*$/, '').trim()
}
