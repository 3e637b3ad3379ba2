import { join } from 'node:path'
import { mapDynemcp } from './dynemcp.ts'
import { type EnvFile, parseEnvFile } from './env-file.ts'
import { envFileProblems } from './environment.ts'
import type { ConfigFiles } from './files.ts'
import { type JsonSource, parseJsonSource } from './json-source.ts'
import type { Problem } from './problem.ts'
import { looksLikeSecret } from './secret-value.ts'

export const configFileName = 'merlon.config.json'
export const dynemcpFileName = 'dynemcp.config.json'

/** What a file gave, and how to name it again when something is wrong with it. */
export interface Source {
  readonly file: string
  readonly input: Record<string, unknown>
  /** The path in the file that a path of the schema came from. */
  pathOf(path: readonly PropertyKey[]): readonly PropertyKey[]
  readonly json: JsonSource
}

export function readEnvFile(path: string, files: ConfigFiles, problems: Problem[]): EnvFile | undefined {
  const found = files.read(path)
  if (found === undefined) return undefined
  if ('problem' in found) {
    problems.push({ where: '.env', path: '', says: `it ${found.problem}` })
    return undefined
  }
  const parsed = parseEnvFile(found.text)
  problems.push(...envFileProblems(parsed, found.mode))
  return parsed
}

export function readSource(
  project: string,
  files: ConfigFiles,
  problems: Problem[],
  warnings: string[],
): Source | undefined {
  const own = readJson(project, configFileName, files, problems)
  const foreign = readJson(project, dynemcpFileName, files, problems)
  if (own !== undefined && foreign !== undefined) {
    problems.push({
      where: dynemcpFileName,
      path: '',
      says: `it stands beside ${configFileName}, and only one may be in force`,
      fix: 'Remove one of the two',
    })
  }
  if (own !== undefined) return { file: configFileName, input: own.input, json: own.json, pathOf: (path) => path }
  if (foreign === undefined) return undefined
  const mapped = mapDynemcp(foreign.input)
  const whereOf = (path: readonly PropertyKey[]): string => `${dynemcpFileName}:${foreign.json.lineOf(path) ?? 1}`
  for (const { path, says, fix, rule } of mapped.problems) {
    const more = { ...(fix === undefined ? {} : { fix }), ...(rule === undefined ? {} : { rule }) }
    problems.push({ where: whereOf(path), path: dotted(path), says, ...more })
  }
  for (const { path, says } of mapped.warnings) warnings.push(`${whereOf(path)}: ${dotted(path)}: ${says}`)
  return {
    file: dynemcpFileName,
    input: mapped.input as Record<string, unknown>,
    json: foreign.json,
    pathOf(path) {
      for (let length = path.length; length > 0; length--) {
        const from = mapped.from.get(path.slice(0, length).join('.'))
        if (from !== undefined) return from
      }
      return path
    },
  }
}

function readJson(
  project: string,
  name: string,
  files: ConfigFiles,
  problems: Problem[],
): { input: Record<string, unknown>; json: JsonSource } | undefined {
  const found = files.read(join(project, name))
  if (found === undefined) return undefined
  if ('problem' in found) {
    problems.push({ where: name, path: '', says: `it ${found.problem}` })
    return undefined
  }
  if ((found.mode & 0o002) !== 0) {
    const says = 'every user can change it'
    problems.push({ where: name, path: '', says, fix: `Run chmod o-w ${name}`, rule: 'CA-601' })
  }
  const json = parseJsonSource(found.text)
  for (const { line, path, says } of json.problems)
    problems.push({ where: `${name}:${line}`, path: dotted(path), says })
  if (json.value === undefined) return { input: {}, json }
  if (!isObject(json.value)) {
    problems.push({ where: `${name}:1`, path: '', says: 'it is not a JSON object' })
    return { input: {}, json }
  }
  for (const path of secretsIn(json.value, [])) {
    problems.push({
      where: `${name}:${json.lineOf(path) ?? 1}`,
      path: dotted(path),
      says: 'holds a secret; a configuration file is shown to people',
      fix: 'Withdraw it, put a new one in .env (mode 600), and refer to it as env:NAME',
      rule: 'CA-002',
    })
  }
  return { input: json.value, json }
}

function* secretsIn(value: unknown, path: readonly PropertyKey[]): Generator<readonly PropertyKey[]> {
  if (typeof value === 'string') {
    if (looksLikeSecret(value)) yield path
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) yield* secretsIn(inner, [...path, key])
  }
}

export function dotted(path: readonly PropertyKey[]): string {
  return path.map(String).join('.')
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
