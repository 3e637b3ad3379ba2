import { describe, expect, test } from 'vitest'
import { fatalAtStart, startLine } from './at-start.ts'
import { factsOf } from './facts.fixture.ts'
import { fails, jsonReport, type Report, textReport } from './report.ts'
import { audit, type Finding, severities, sorted, type Told } from './rule.ts'
import { rules } from './rules/rules.ts'
import { runtimeRules } from './rules/runtime.ts'
import { sarifReport } from './sarif.ts'

const told = (id: string, severity: Told['severity']): Told => ({
  id,
  severity,
  title: 'It is so.',
  why: 'Because.',
  fix: 'Do it.',
  source: ['ASVS 5.0 V13', 'OWASP MCP08'],
})

const plain: Finding = {
  rule: told('CA-990', 'medium'),
  where: 'merlon.config.json:4',
  path: 'log.level',
  says: 'is so',
}
const grave: Finding = { rule: told('CA-991', 'fatal'), where: '.merlon/root.key', says: 'is open', fix: 'Run chmod' }
const other: Finding = { ...grave, where: 'env:NAME', says: 'is there', fix: 'Unset it' }
const report: Report = { about: '/project', rules: 12, findings: sorted([plain, grave, other]) }

describe('the report', () => {
  test('in text has the gravest first, each rule once with its places', () => {
    expect(textReport(report)).toBe(`/project: 12 rules, 3 findings

FATAL
  CA-991 It is so.
    .merlon/root.key: is open
    env:NAME: is there
    why: Because.
    fix: Run chmod
    fix: Unset it
    source: ASVS 5.0 V13, OWASP MCP08

MEDIUM
  CA-990 It is so.
    merlon.config.json:4: log.level: is so
    why: Because.
    fix: Do it.
    source: ASVS 5.0 V13, OWASP MCP08

2 fatal, 0 high, 1 medium, 0 low, 0 info`)
  })

  test('without a finding says so', () => {
    expect(textReport({ about: '/project', rules: 12, findings: [] })).toBe(
      '/project: 12 rules, 0 findings\n\n0 fatal, 0 high, 0 medium, 0 low, 0 info',
    )
  })

  test('in JSON says everything of each finding', () => {
    expect(JSON.parse(jsonReport(report, 'high'))).toMatchObject({
      about: '/project',
      rules: 12,
      failOn: 'high',
      failed: true,
      findings: [
        { rule: 'CA-991', severity: 'fatal', where: '.merlon/root.key', says: 'is open', fix: 'Run chmod' },
        { rule: 'CA-991', where: 'env:NAME', fix: 'Unset it' },
        { rule: 'CA-990', setting: 'log.level', fix: 'Do it.', source: ['ASVS 5.0 V13', 'OWASP MCP08'] },
      ],
    })
  })

  test.each([
    ['fatal', ['fatal']],
    ['high', ['fatal', 'high']],
    ['info', ['fatal', 'high', 'medium', 'low', 'info']],
  ] as const)('fails on %s where a finding is %j', (threshold, failing) => {
    const failed = severities.filter((severity) => fails([{ ...plain, rule: told('CA-990', severity) }], threshold))
    expect(failed).toEqual(failing)
  })
})

describe('SARIF', () => {
  const sarif = () => JSON.parse(sarifReport(report, [told('CA-990', 'medium'), told('CA-991', 'fatal')], '1.2.3'))

  test('has what 2.1.0 requires', () => {
    const { $schema, version, runs } = sarif()
    expect($schema).toMatch(/sarif-2\.1\.0\.json$/)
    expect(version).toBe('2.1.0')
    expect(runs).toHaveLength(1)
    const [{ tool, results }] = runs
    expect(tool.driver).toMatchObject({ name: 'Merlon configuration audit', version: '1.2.3' })
    for (const { ruleId, ruleIndex, message, level } of results) {
      expect(tool.driver.rules[ruleIndex].id).toBe(ruleId)
      expect(message.text).toMatch(/\S/)
      expect(['none', 'note', 'warning', 'error']).toContain(level)
    }
  })

  test('points to the line where there is one, and to the configuration where there is no file', () => {
    const [{ results }] = sarif().runs
    expect(
      results.map(({ locations }: { locations: { physicalLocation: object }[] }) => locations[0]?.physicalLocation),
    ).toEqual([
      { artifactLocation: { uri: '.merlon/root.key' }, region: { startLine: 1 } },
      { artifactLocation: { uri: 'merlon.config.json' }, region: { startLine: 1 } },
      { artifactLocation: { uri: 'merlon.config.json' }, region: { startLine: 4 } },
    ])
  })

  test('knows a finding again when its line has moved, and tells two of one rule apart', () => {
    const prints = (findings: readonly Finding[]) =>
      JSON.parse(sarifReport({ ...report, findings }, [plain.rule], '1')).runs[0].results.map(
        (result: { partialFingerprints: object }) => JSON.stringify(result.partialFingerprints),
      )
    expect(prints([plain])).toEqual(prints([{ ...plain, where: 'merlon.config.json:40' }]))
    expect(prints([plain])).not.toEqual(prints([{ ...plain, path: 'log.requests' }]))
  })

  test('lists every rule, with a level and the number that code scanning sorts by', () => {
    const driver = JSON.parse(sarifReport({ ...report, findings: [] }, rules, '1')).runs[0].tool.driver
    expect(driver.rules).toHaveLength(rules.length)
    for (const { defaultConfiguration, properties, help } of driver.rules) {
      expect(['note', 'warning', 'error']).toContain(defaultConfiguration.level)
      expect(Number(properties['security-severity'])).toBeLessThanOrEqual(10)
      expect(help.text).toContain('Source: ')
    }
  })
})

describe('SC-05: at the start', () => {
  const { config } = factsOf({})
  const loaded = { config, origins: new Map(), secrets: { env: {}, names: [] } as never }
  const start = (execArgv: readonly string[], env: Record<string, string> = {}) =>
    fatalAtStart({ versions: { node: '24.21.0' }, execArgv, env }, loaded).map(startLine)

  test('nothing is said of a process as it should be', () => {
    expect(start(['--enable-source-maps'], { NODE_ENV: 'production' })).toEqual([])
  })

  test('what is fatal is said with its number, wherever it was given', () => {
    expect(start(['--insecure-http-parser'])).toEqual([
      'CA-702 HTTP is read strictly: --insecure-http-parser reads HTTP leniently',
    ])
    expect(start([], { NODE_OPTIONS: '--security-revert=CVE-2023-46809' })).toEqual([
      'CA-705 No fix of Node.js is taken back: --security-revert takes a security fix back',
    ])
  })

  test('what is only high does not keep it from starting', () => {
    expect(start(['--tls-min-v1.0'], { DEBUG: '*', NODE_ENV: 'development' })).toEqual([])
  })

  test('every fatal rule about the process can be judged by the process alone', () => {
    const bare = { now: 0, config, said: [], whereOf: () => 'default' }
    for (const flag of ['--insecure-http-parser', '--tls-keylog=a', '--trace-tls', '--security-revert=a']) {
      const process = { nodeVersion: '24.21.0', flags: [flag], variables: new Map(), secretVariables: [] }
      const found = audit(runtimeRules, { ...bare, process })
      expect(found.map(({ rule }) => rule.severity)).toEqual(['fatal'])
    }
  })
})
