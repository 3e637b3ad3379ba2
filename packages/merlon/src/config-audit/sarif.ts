import type { Report } from './report.ts'
import type { Finding, Severity, Told } from './rule.ts'
import { sources } from './sources.ts'

const levels: { readonly [S in Severity]: 'error' | 'warning' | 'note' } = {
  fatal: 'error',
  high: 'error',
  medium: 'warning',
  low: 'note',
  info: 'note',
}

/** The number by which code scanning sorts: 9 and up critical, 7 high, 4 medium, below it low. */
const grades: { readonly [S in Severity]: string } = {
  fatal: '9.5',
  high: '8.0',
  medium: '5.5',
  low: '3.0',
  info: '0.0',
}

/** SARIF 2.1.0, for code scanning. Every rule is listed, so that a rule that found nothing closes what it found before. */
export function sarifReport({ findings }: Report, rules: readonly Told[], version: string): string {
  const index = new Map(rules.map(({ id }, at) => [id, at]))
  return JSON.stringify(
    {
      $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
      version: '2.1.0',
      runs: [
        {
          tool: {
            driver: {
              name: 'Merlon configuration audit',
              version,
              rules: rules.map(descriptor),
            },
          },
          columnKind: 'utf16CodeUnits',
          results: findings.map((finding) => result(finding, index.get(finding.rule.id) ?? 0)),
        },
      ],
    },
    null,
    2,
  )
}

function descriptor({ id, title, severity, why, fix, source }: Told) {
  return {
    id,
    shortDescription: { text: title },
    fullDescription: { text: why },
    help: { text: `${fix} Source: ${source.map((name) => `${name} (${sources[name]})`).join('; ')}.` },
    defaultConfiguration: { level: levels[severity] },
    properties: { tags: ['security', ...source], 'security-severity': grades[severity], precision: 'high' },
  }
}

function result({ rule, where, path, says, fix }: Finding, ruleIndex: number) {
  const subject = path === undefined ? where : `${where}: ${path}`
  return {
    ruleId: rule.id,
    ruleIndex,
    level: levels[rule.severity],
    message: { text: `${subject}: ${says}. ${fix ?? rule.fix}` },
    locations: [locationOf(where, path ?? where)],
    // Tells one finding from another of the same rule, from run to run, wherever its line has moved.
    partialFingerprints: { 'merlonFinding/v1': `${rule.id}:${where.replace(/:[0-9]+$/, '')}:${path ?? ''}` },
  }
}

/** A place in a file of the project where it is one; otherwise its name, with the configuration as the file to open. */
function locationOf(where: string, name: string) {
  const [, file = where, line] = /^(.+?):([0-9]+)$/.exec(where) ?? []
  const inProject = /^[\w.-]+(?:\/[\w.-]+)*$/.test(file) && /[./]/.test(file)
  return {
    physicalLocation: {
      artifactLocation: { uri: inProject ? file : 'merlon.config.json' },
      region: { startLine: line === undefined ? 1 : Number(line) },
    },
    logicalLocations: [{ fullyQualifiedName: name }],
  }
}
