import { type Finding, reaches, type Severity, severities } from './rule.ts'

/** What was looked at and what came of it. */
export interface Report {
  /** `the project /srv/agent`, or the address of the server that was asked. */
  readonly about: string
  /** How many rules were held against it. */
  readonly rules: number
  readonly findings: readonly Finding[]
}

/** For people: the gravest first, each rule once with its places, its reason, what to do and where it comes from. */
export function textReport({ about, rules, findings }: Report): string {
  const blocks = severities.flatMap((severity) => {
    const ids = Map.groupBy(
      findings.filter(({ rule }) => rule.severity === severity),
      ({ rule }) => rule.id,
    )
    if (ids.size === 0) return []
    return [severity.toUpperCase(), ...[...ids.values()].flatMap(ruleLines), '']
  })
  return [`${about}: ${rules} rules, ${plural(findings.length, 'finding')}`, '', ...blocks, tally(findings)].join('\n')
}

function ruleLines(findings: readonly Finding[]): readonly string[] {
  const { rule } = findings[0]!
  const fixes = new Set(findings.map(({ fix }) => fix).filter((fix) => fix !== undefined))
  return [
    `  ${rule.id} ${rule.title}`,
    ...findings.map(({ where, path, says }) => `    ${where}: ${path === undefined ? '' : `${path}: `}${says}`),
    `    why: ${rule.why}`,
    ...(fixes.size === 0 ? [rule.fix] : [...fixes]).map((fix) => `    fix: ${fix}`),
    `    source: ${rule.source.join(', ')}`,
  ]
}

function tally(findings: readonly Finding[]): string {
  return severities
    .map((severity) => `${findings.filter(({ rule }) => rule.severity === severity).length} ${severity}`)
    .join(', ')
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

/** For programs. */
export function jsonReport({ about, rules, findings }: Report, failOn: Severity): string {
  return JSON.stringify(
    {
      about,
      rules,
      failOn,
      failed: fails(findings, failOn),
      findings: findings.map(({ rule, where, path, says, fix }) => ({
        rule: rule.id,
        severity: rule.severity,
        title: rule.title,
        where,
        ...(path === undefined ? {} : { setting: path }),
        says,
        why: rule.why,
        fix: fix ?? rule.fix,
        source: rule.source,
      })),
    },
    null,
    2,
  )
}

export function fails(findings: readonly Finding[], failOn: Severity): boolean {
  return findings.some(({ rule }) => reaches(rule.severity, failOn))
}
