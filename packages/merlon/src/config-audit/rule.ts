import type { Facts } from './facts.ts'
import type { Source } from './sources.ts'

/** The gravest first. What is `fatal` keeps `merlon start` from starting. */
export const severities = ['fatal', 'high', 'medium', 'low', 'info'] as const
export type Severity = (typeof severities)[number]

/** What a rule found, once for each place. Never holds a secret: what is shown is a name, a place or a number. */
export interface Found {
  /** A file, perhaps with a line; `env:NAME`; `default` for a setting that nobody gave. */
  readonly where: string
  /** The setting, where it is about one. */
  readonly path?: string
  readonly says: string
  /** What to do here, where that is more exact than the fix of the rule. */
  readonly fix?: string
}

/** What every rule tells, of a configuration as of a running server. */
export interface Told {
  readonly id: string
  /** The promise, as a sentence. */
  readonly title: string
  readonly severity: Severity
  readonly why: string
  readonly fix: string
  readonly source: readonly [Source, ...Source[]]
}

export interface Rule extends Told {
  /** Pure. Facts that were not gathered give no finding. */
  check(facts: Facts): readonly Found[]
}

export interface Finding extends Found {
  readonly rule: Told
}

/** The findings, gravest first; within a severity in the order of the rules. */
export function audit(rules: readonly Rule[], facts: Facts): readonly Finding[] {
  return sorted(rules.flatMap((rule) => rule.check(facts).map((found) => ({ ...found, rule }))))
}

export function sorted(findings: readonly Finding[]): readonly Finding[] {
  return severities.flatMap((severity) => findings.filter(({ rule }) => rule.severity === severity))
}

/** Whether it is as grave as `threshold`, or graver. */
export function reaches(severity: Severity, threshold: Severity): boolean {
  return severities.indexOf(severity) <= severities.indexOf(threshold)
}

const nothing: readonly Found[] = Object.freeze([])

/** One finding about a setting, or none. */
export function setting(facts: Facts, path: string, bad: boolean, says: string): readonly Found[] {
  return bad ? [{ where: facts.whereOf(path), path, says }] : nothing
}

/** One finding about a place that is no setting, or none. */
export function place(where: string, bad: boolean, says: string): readonly Found[] {
  return bad ? [{ where, says }] : nothing
}

/** What the loader said under the number of this rule. */
export function saidByLoader(id: string): Rule['check'] {
  return ({ said }) =>
    said.flatMap(({ rule, where, path, says, fix }) =>
      rule === id
        ? [{ where, says, ...(path === '' ? {} : { path }), ...(fix === undefined ? {} : { fix }) }]
        : nothing,
    )
}
