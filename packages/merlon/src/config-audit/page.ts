import { probeGroups } from './live/probes.ts'
import { textReport } from './report.ts'
import { severities, type Told } from './rule.ts'
import { ruleGroups, rules } from './rules/rules.ts'
import { type Source, sources } from './sources.ts'

/** The hardening checklist, printed from the rules. */
export function hardeningPage(): string {
  return `${[
    '# Hardening',
    '',
    '<!-- Printed by `node scripts/reference.ts` from packages/merlon/src/config-audit. Change the rules, not this page. -->',
    '',
    'Every line of this list is a rule that a program holds your project to. In the folder of the project:',
    '',
    '```',
    'npm run audit:security',
    '```',
    '',
    'or, which is the same, `merlon config audit`. It looks at the settings in force, at the files of the project and the',
    'data folder, at the process, the keys in the store, the tools and the packages, and changes none of them. Loading the',
    'tools runs their files, as `merlon build` does. Of the database it reads which keys are good, how many users are',
    'operators and, on PostgreSQL, what the role may do.',
    '',
    'It prints what is wrong, the gravest first, such as:',
    '',
    '```',
    ...sample().split('\n'),
    '```',
    '',
    '## What a finding means',
    '',
    '| severity | what it means |',
    '| --- | --- |',
    ...severities.map((severity) => `| ${severity} | ${meanings[severity]} |`),
    '',
    'The command leaves with 0 where nothing is as grave as `--fail-on` (default `high`), with 1 where something is, and with',
    '2 where the command line itself is wrong. `--json` prints the same for programs.',
    '',
    '## In CI',
    '',
    '`--sarif` prints SARIF 2.1.0, which code scanning reads. Every rule is in the file, so that what was mended is closed. For',
    'GitHub:',
    '',
    '```yaml',
    '- run: npx merlon config audit --sarif > audit.sarif',
    '- uses: github/codeql-action/upload-sarif@v4',
    '  if: always()',
    '  with:',
    '    sarif_file: audit.sarif',
    '```',
    '',
    'The step fails when a finding is high or fatal; `if: always()` uploads it nevertheless. Run it in an environment like the',
    'one that serves: the process it judges is the one that runs the command.',
    '',
    '## From outside',
    '',
    '```',
    'npx merlon config audit --live https://mcp.example/mcp',
    '```',
    '',
    'asks a running server what it answers to those who should not get in, over connections of its own: Merlon or any other MCP',
    'server over HTTP. Nothing that is sent changes anything. It shows a few wrong credentials, so a server that counts those',
    'may refuse the address it was run from for a minute. With a key it looks behind the door too; the key comes from a file',
    'that only you can read, `--key-file key.txt`, or from the variable `MCP_API_KEY`, and is never printed:',
    '',
    '```',
    'npx merlon config audit --live https://mcp.example/mcp --key-file key.txt',
    '```',
    '',
    '## The rules',
    '',
    ...[...ruleGroups].flatMap(([name, rules]) => group(name, rules)),
    '## The probes',
    '',
    ...[...probeGroups].flatMap(([name, rules]) => group(name, rules)),
    '## Sources',
    '',
    '| source | what it asks for |',
    '| --- | --- |',
    ...(Object.keys(sources) as Source[]).sort(inOrder).map((name) => `| ${name} | ${sources[name]} |`),
  ].join('\n')}\n`
}

/** What is printed for two findings, by the program that prints it. */
function sample(): string {
  const found: readonly (readonly [id: string, where: string, path: string, says: string])[] = [
    ['CA-124', 'merlon.config.json:5', 'admin.listener', 'is served beside the MCP endpoint'],
    ['CA-511', 'env:MERLON_AUDIT_KEEP_DAYS', 'audit.keepDays', 'keeps 30 days'],
  ]
  const findings = found.flatMap(([id, where, path, says]) =>
    rules.filter((rule) => rule.id === id).map((rule) => ({ rule, where, path, says })),
  )
  return textReport({ about: '/srv/secure-agent', rules: rules.length, findings })
}

const meanings: { readonly [S in (typeof severities)[number]]: string } = {
  fatal: '`merlon start` refuses to start; of a server that was asked: it is open',
  high: 'a way in, or a secret that others can have; mend it before you serve',
  medium: 'a wall that is missing behind another',
  low: 'good practice that is not followed',
  info: 'something to know',
}

function group(name: string, rules: readonly Told[]): readonly string[] {
  return [
    `### ${name}`,
    '',
    ...rules.flatMap(({ id, title, severity, why, fix, source }) => [
      `- **${id}** ${title} *(${severity})*`,
      `  - why: ${why}`,
      `  - how: ${fix}`,
      `  - source: ${source.join(', ')}`,
    ]),
    '',
  ]
}

/** ASVS V2.4.1 before V12.1.1. */
function inOrder(left: string, right: string): number {
  return left.localeCompare(right, 'en', { numeric: true })
}
