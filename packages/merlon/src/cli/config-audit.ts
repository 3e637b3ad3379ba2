import { type Command, Option } from 'commander'
import type { Report } from '../config-audit/report.ts'
import { type Finding, type Severity, severities, type Told } from '../config-audit/rule.ts'
import { type CliContext, CliError, type ProjectOption, projectFolder, withProject } from './context.ts'
import { exposureOfProcess } from './inspection.ts'
import { readPrivateFile } from './secret-input.ts'

interface AuditOptions extends ProjectOption {
  readonly json?: true
  readonly sarif?: true
  readonly failOn: Severity
  readonly live?: string
  readonly keyFile?: string
}

/** The variable that may hold the key for `--live`. A key in the command line is seen by every user of the machine. */
const keyVariable = 'MCP_API_KEY'

/**
 * `config audit`: holds the project, or with `--live` a running server, to the rules. Leaves with 1 where a finding is as
 * grave as `--fail-on`, with 0 otherwise.
 */
export function registerConfigAudit(config: Command, context: CliContext, exitWith: (exitCode: number) => void): void {
  withProject(config.command('audit'))
    .description('hold the settings, files, keys and tools to the rules of the hardening checklist')
    .addOption(new Option('--json', 'print JSON').conflicts('sarif'))
    .option('--sarif', 'print SARIF 2.1.0, for code scanning')
    .addOption(
      new Option('--fail-on <severity>', 'leave with 1 from this severity on').choices(severities).default('high'),
    )
    .option('--live <url>', 'ask the running server at this MCP endpoint from outside instead')
    .option('--key-file <file>', `with --live: the file that holds a key (or set ${keyVariable})`)
    .action(async (options: AuditOptions) => {
      if (options.keyFile !== undefined && options.live === undefined) {
        throw new CliError('--key-file goes with --live', 'merlon config audit --live <url> --key-file <file>', {
          exitCode: 2,
        })
      }
      const { report, rules } =
        options.live === undefined
          ? await auditProject(context, options)
          : await auditServer(context, addressOf(options.live), options.keyFile)
      const { fails, jsonReport, textReport } = await import('../config-audit/report.ts')
      if (options.json) context.out(jsonReport(report, options.failOn))
      else if (options.sarif) {
        const { sarifReport } = await import('../config-audit/sarif.ts')
        context.out(sarifReport(report, rules, config.parent?.version() ?? '0'))
      } else context.out(textReport(report))
      exitWith(fails(report.findings, options.failOn) ? 1 : 0)
    })
}

interface Audited {
  readonly report: Report
  readonly rules: readonly Told[]
}

async function auditProject(context: CliContext, options: ProjectOption): Promise<Audited> {
  const { examineConfig } = await import('../config/load.ts')
  const { gather } = await import('../config-audit/gather.ts')
  const { audit } = await import('../config-audit/rule.ts')
  const { rules } = await import('../config-audit/rules/rules.ts')
  const project = projectFolder(context, options)
  const examined = examineConfig({ project, env: context.env })
  const now = Date.now()
  const facts = await gather({
    project,
    now,
    examined,
    process: {
      versions: process.versions,
      execArgv: process.execArgv,
      env: context.env,
      getuid: process.getuid,
      exposed: exposureOfProcess(),
    },
    store: async () => {
      const { glanceAtStore } = await import('../app.ts')
      const seen = await glanceAtStore(project, examined.config, examined.secrets, now)
      if (seen === undefined && examined.secrets.databaseUrl !== undefined) {
        context.say('merlon: the database could not be looked at, so nothing is said of keys and roles')
      }
      return seen
    },
  })
  const findings: readonly Finding[] = audit(rules, facts)
  return { report: { about: project, rules: rules.length, findings }, rules }
}

async function auditServer(context: CliContext, url: URL, keyFile: string | undefined): Promise<Audited> {
  const key = keyFile === undefined ? context.env[keyVariable] : readKey(context, keyFile)
  const { probe } = await import('../config-audit/live/live.ts')
  const { probes } = await import('../config-audit/live/probes.ts')
  const result = await probe({ url, key, clock: Date.now })
  if (result === 'nobody') {
    throw new CliError(`nobody answers at ${url.href}`, 'start the server, or check the address and the port')
  }
  if (result === 'no endpoint') {
    throw new CliError(`there is no MCP endpoint at ${url.href}`, 'give its path too, such as /mcp')
  }
  return { report: { about: url.href, rules: result.asked.length, findings: result.findings }, rules: probes }
}

/** A key goes into a header: visible ASCII without spaces. */
function readKey(context: CliContext, path: string): string {
  const key = readPrivateFile(context, path)
  if (!/^[\x21-\x7e]{1,8192}$/.test(key)) throw new CliError(`${path} holds no key`, 'write the key alone into it')
  return key
}

/** What is wrong with an address is said without it: it may hold a password. */
function addressOf(text: string): URL {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new CliError('--live takes an http or https address', 'try --live http://127.0.0.1:4000/mcp', { exitCode: 2 })
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new CliError(
      '--live takes an address without a user, a query or a fragment',
      `a key goes into a file, --key-file, or into ${keyVariable}`,
      { exitCode: 2 },
    )
  }
  return url
}
