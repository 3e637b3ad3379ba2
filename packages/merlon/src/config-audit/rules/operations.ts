import type { FileRole, PlacedFile } from '../facts.ts'
import { type Rule, setting } from '../rule.ts'

const minute = 60_000
const mebibyte = 1_048_576

const placed = (files: { readonly placed: readonly PlacedFile[] } | undefined, role: FileRole): readonly PlacedFile[] =>
  (files?.placed ?? []).filter((file) => file.role === role)

/** The audit log, the program log, and who is told. */
export const operationRules: readonly Rule[] = [
  {
    id: 'CA-501',
    title: 'The audit log is a file that keeps what is written.',
    severity: 'high',
    why: 'Records that go to a device or a pipe are gone, and nobody can say afterwards who did what.',
    fix: 'Leave audit.file out for audit.jsonl in the data folder, or name a file.',
    source: ['OWASP MCP08', 'ASVS 5.0 V16.3.1', 'ASVS 5.0 V16.3.3'],
    check: ({ files }) =>
      placed(files, 'audit log')
        .filter(({ kind }) => kind !== 'file')
        .map(({ path }) => ({ where: path, path: 'audit.file', says: 'is no file' })),
  },
  {
    id: 'CA-502',
    title: 'The audit log is private.',
    severity: 'high',
    why: 'It tells who uses what and when; and whoever can write to it can change what was done.',
    fix: 'Run chmod 600 on it.',
    source: ['ASVS 5.0 V16.4.2', 'OWASP MCP08'],
    check: ({ files }) =>
      placed(files, 'audit log')
        .filter(({ kind, mode }) => kind === 'file' && (mode & 0o077) !== 0)
        .map(({ path }) => ({ where: path, says: 'others can read or change it', fix: `Run chmod 600 ${path}` })),
  },
  {
    id: 'CA-503',
    title: 'What must last is not kept among temporary files.',
    severity: 'high',
    why: 'Temporary files are cleared away: the audit log, the keys and the root key with them.',
    fix: 'Name a lasting folder in store.folder, and a lasting file in audit.file.',
    source: ['ASVS 5.0 V16.4.2', 'OWASP MCP08'],
    check: ({ files }) =>
      [...placed(files, 'audit log'), ...placed(files, 'data folder')]
        .filter(({ temporary }) => temporary)
        .map(({ path }) => ({ where: path, says: 'lies among temporary files' })),
  },
  {
    id: 'CA-504',
    title: 'There is room for the audit log.',
    severity: 'medium',
    why: 'When it is full no call is taken: nothing is done without a record.',
    fix: 'Make room, or move the data folder to a larger volume.',
    source: ['ASVS 5.0 V16.5.2', 'OWASP MCP08'],
    check: ({ files }) =>
      files?.freeBytes !== undefined && files.freeBytes < 512 * mebibyte
        ? [
            {
              where: placed(files, 'audit log')[0]?.path ?? 'the data folder',
              says: `${Math.floor(files.freeBytes / mebibyte)} MiB are left`,
            },
          ]
        : [],
  },
  {
    id: 'CA-505',
    title: 'The program log is not at a level for finding errors.',
    severity: 'high',
    why: 'Such a level writes more than anybody reviewed, and fills the disk.',
    fix: 'Set log.level to info.',
    source: ['ASVS 5.0 V13.4.2', 'ASVS 5.0 V16.2.5'],
    check: (facts) => {
      const { level } = facts.config.log
      return setting(facts, 'log.level', level === 'trace' || level === 'debug', `is ${level}`)
    },
  },
  {
    id: 'CA-506',
    title: 'The program log says what fails.',
    severity: 'medium',
    why: 'A failure that is written nowhere is found by those whom it hurts.',
    fix: 'Set log.level to info, warn or error.',
    source: ['ASVS 5.0 V16.3.4'],
    check: (facts) => setting(facts, 'log.level', facts.config.log.level === 'silent', 'is silent'),
  },
  {
    id: 'CA-507',
    title: 'The clock is right.',
    severity: 'high',
    why: 'Keys, sessions and records are judged by it; a clock that went back makes ended keys good again.',
    fix: 'Let the machine keep its time (NTP), then look at what was written in the future.',
    source: ['ASVS 5.0 V16.2.2', 'ASVS 5.0 V9.2.1'],
    check: ({ files, now }) =>
      (files?.placed ?? [])
        .filter(({ role, changedAt }) => role !== 'project folder' && changedAt - now > minute)
        .slice(0, 1)
        .map(({ path, changedAt }) => ({
          where: path,
          says: `was changed ${Math.ceil((changedAt - now) / minute)} minutes from now`,
        })),
  },
  {
    id: 'CA-508',
    title: 'Signed heads of the audit log are kept elsewhere.',
    severity: 'medium',
    why: 'Whoever has the machine can cut the log, or put another in its place; a head that is elsewhere tells.',
    fix: 'Name a file on another machine in audit.heads.file, or an address in audit.heads.webhook.',
    source: ['RFC 6962', 'ASVS 5.0 V16.4.3', 'OWASP MCP08'],
    check: (facts) => {
      const { file, webhook } = facts.config.audit.heads
      return setting(facts, 'audit.heads', file === undefined && webhook === undefined, 'are kept beside the log alone')
    },
  },
  {
    id: 'CA-509',
    title: 'Somebody is told of an alert.',
    severity: 'low',
    why: 'Guessing and violations are counted; without a notice nobody looks until it is over.',
    fix: 'Put the address of your notices into .env, and name it in alerts.webhook.url; or read /metrics.',
    source: ['OWASP MCP08', 'ASVS 5.0 V16.3.3'],
    check: (facts) =>
      setting(
        facts,
        'alerts.webhook.url',
        facts.config.alerts.webhook.url === undefined,
        'is not set, so nobody is told',
      ),
  },
  {
    id: 'CA-510',
    title: 'Notices of alerts are signed.',
    severity: 'low',
    why: 'Whoever knows the address could send notices of their own, and hide a true one among them.',
    fix: 'Run `merlon generate-keys --secrets`, and name the secret in alerts.webhook.secret.',
    source: ['ASVS 5.0 V13.2.1'],
    check: (facts) => {
      const { url, secret } = facts.config.alerts.webhook
      return setting(facts, 'alerts.webhook.secret', url !== undefined && secret === undefined, 'is not set')
    },
  },
  {
    id: 'CA-511',
    title: 'The audit log is kept for three months.',
    severity: 'medium',
    why: 'An intrusion is found after weeks; what is gone by then cannot be told any more.',
    fix: 'Set audit.keepDays to 90 or more, or leave it out to keep everything.',
    source: ['OWASP MCP08', 'ASVS 5.0 V16.4.2'],
    check: (facts) => {
      const { keepDays } = facts.config.audit
      return setting(facts, 'audit.keepDays', keepDays !== undefined && keepDays < 90, `keeps ${keepDays} days`)
    },
  },
  {
    id: 'CA-512',
    title: 'A record is signed soon after it was written.',
    severity: 'low',
    why: 'What no head covers yet can be changed without a trace.',
    fix: 'Lower audit.headMs; ten seconds are the default.',
    source: ['RFC 6962', 'ASVS 5.0 V16.4.2'],
    check: (facts) => {
      const { headMs } = facts.config.audit
      return setting(facts, 'audit.headMs', headMs > 10 * minute, `is ${Math.ceil(headMs / minute)} minutes`)
    },
  },
  {
    id: 'CA-513',
    title: 'Alerts fire in time.',
    severity: 'low',
    why: 'A threshold that no attack reaches is no alert.',
    fix: 'Lower the threshold towards its default.',
    source: ['OWASP MCP08', 'ASVS 5.0 V16.3.3'],
    check: (facts) => {
      const { alerts } = facts.config
      const limits = { authFailuresPerMinute: 600, rateLimitPerMinute: 6_000, invalidKeysPerHour: 36_000 } as const
      return (Object.keys(limits) as (keyof typeof limits)[]).flatMap((name) =>
        setting(
          facts,
          `alerts.${name}`,
          alerts[name] > limits[name],
          `is ${alerts[name]}, beyond what an attack sends`,
        ),
      )
    },
  },
  {
    id: 'CA-514',
    title: 'Metrics do not tell who the tenants are.',
    severity: 'info',
    why: 'Whoever reads the metrics then sees the ids of all tenants, and how much each does.',
    fix: 'Leave metrics.tenants at false unless only the operator reads them.',
    source: ['ASVS 5.0 V13.4.5', 'ASVS 5.0 V8.4.1'],
    check: (facts) => setting(facts, 'metrics.tenants', facts.config.metrics.tenants, 'counts for each tenant'),
  },
  {
    id: 'CA-515',
    title: 'Noise cannot push records out of the audit log.',
    severity: 'medium',
    why: 'Where little is kept, many calls make the one that matters disappear.',
    fix: 'Set audit.keepBytes to 256 MiB or more, or bound the log by audit.keepDays instead.',
    source: ['OWASP MCP08', 'ASVS 5.0 V16.4.2'],
    check: (facts) => {
      const { keepBytes } = facts.config.audit
      const bad = keepBytes !== undefined && keepBytes < 256 * mebibyte
      return setting(facts, 'audit.keepBytes', bad, `keeps ${Math.floor((keepBytes ?? 0) / mebibyte)} MiB`)
    },
  },
]
