import type * as z from 'zod'
import { nearest } from './near.ts'
import { settingAt, settings } from './settings.ts'

/** One thing that is wrong with the configuration. Shown to the operator; never holds a value that was read. */
export interface Problem {
  /** `merlon.config.json:12`, `.env:3`, `env:MERLON_SERVER_PORT`. */
  readonly where: string
  /** The setting, as a dotted path in the file it came from; empty where the whole file is meant. */
  readonly path: string
  readonly says: string
  readonly fix?: string
  /** The rule of the configuration audit that it breaks, where that is more than "it must be accepted". */
  readonly rule?: string
}

/** The configuration cannot be used. Holds every problem that was found, not only the first. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(
      [
        `the configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}`,
        ...problems.map((problem) => `  ${problemLine(problem)}`),
      ].join('\n'),
    )
    this.name = 'ConfigError'
    this.problems = Object.freeze([...problems])
  }
}

/** A rule that has more to say is named at the end: the hardening checklist has its reason and its source. */
export function problemLine({ where, path, says, fix, rule }: Problem): string {
  const more = `${fix === undefined ? '' : `. ${fix}`}${rule === undefined ? '' : ` (${rule})`}`
  return `${where}: ${path === '' ? '' : `${path}: `}${says}${more}`
}

/** An issue of the schema in our words: what the setting takes, and the setting that was meant where a key is unknown. */
export function* saidOf(
  issue: z.core.$ZodIssue,
): Generator<{ path: readonly PropertyKey[]; says: string; fix?: string }> {
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys)
      yield { path: [...issue.path, key], says: 'there is no such setting', ...meant(issue.path, key) }
    return
  }
  yield { path: issue.path, ...wanted(issue) }
}

function wanted(issue: z.core.$ZodIssue): { says: string; fix?: string } {
  const setting = settingAt(issue.path)
  if (setting?.secret) {
    return {
      says: 'takes a reference to a secret, env:NAME or file:/path, never the secret itself',
      fix: 'Put the secret in .env (mode 600) or a file of its own, and name it here',
    }
  }
  if (issue.code === 'invalid_key') {
    const [inner] = issue.issues
    return { says: `takes ${inner?.message ?? 'another name'}` }
  }
  const inside = setting !== undefined && issue.path.length > setting.segments.length
  if (issue.code === 'invalid_format' || issue.code === 'custom') return { says: `takes ${issue.message}` }
  if (setting !== undefined && !inside) return { says: `takes ${setting.takes}` }
  if (inside) return { says: `does not fit: the setting takes ${setting.takes}` }
  return {
    says:
      issue.code === 'invalid_type'
        ? `takes ${issue.expected === 'object' ? 'an object' : issue.expected}`
        : 'does not fit',
  }
}

function meant(path: readonly PropertyKey[], key: string): { fix?: string } {
  const depth = path.length
  const prefix = path.map(String)
  const siblings = new Set<string>()
  for (const { segments } of settings) {
    const name = segments[depth]
    if (name !== undefined && prefix.every((part, index) => segments[index] === part)) siblings.add(name)
  }
  const near = nearest(key, siblings)
  if (near !== undefined) return { fix: `Did you mean ${[...prefix, near].join('.')}?` }
  // A key that is right but stands in the wrong section.
  const elsewhere = settings.filter(({ segments }) => segments.at(-1) === key)
  return elsewhere.length === 1 ? { fix: `Did you mean ${elsewhere[0]!.path}?` } : {}
}
