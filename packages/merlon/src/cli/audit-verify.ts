import { accessSync, constants, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { AuditVerdict } from '../audit/audit-reader.ts'
import { type CliContext, CliError } from './context.ts'
import type { ControlCommand } from './control-command.ts'
import { json, plain } from './plain.ts'

/** `audit verify`: asks the server, or reads files that were copied, with the public key and nothing else. */
export const verifyCommand: ControlCommand = {
  name: 'verify',
  operation: 'audit.verify',
  does: 'check that no record was changed, added or taken away',
  flags: { 'body.heads': { hidden: true } },
  more: (command) =>
    command
      .option('--heads <file>', 'signed heads that were kept elsewhere, one a line: the log must go on from them')
      .option('--file <file...>', 'with --public-key: the files of a log, in any place; no server is asked')
      .option('--public-key <file>', 'with --file: the key that the heads are signed with, as audit key prints it'),
  before: async (context, options) => {
    const files = options['file'] as readonly string[] | undefined
    const publicKey = options['publicKey'] as string | undefined
    if (files === undefined && publicKey === undefined) return undefined
    if (files === undefined || publicKey === undefined) {
      throw new CliError('--file and --public-key go together', 'name both', { exitCode: 2 })
    }
    const verdict = await verifyFiles(context, files, publicKey, options['heads'] as string | undefined)
    if (options.json) context.out(json(verdict))
    else context.out(verdictText(verdict))
    if (verdict.ok && options['heads'] === undefined) context.say(`merlon: ${withoutHeads}`)
    return verdict.ok ? 0 : 1
  },
  prepare: ({ body }, { context, options }) => {
    if (typeof options['heads'] === 'string') body['heads'] = readHeadFile(context, options['heads'])
  },
  says: (verdict) => verdictText(verdict as unknown as AuditVerdict),
  exitCode: ({ ok }) => (ok ? 0 : 1),
}

/** The log alone cannot tell that its end, or all of it, is another. */
const withoutHeads = 'without --heads, whether the end was cut off cannot be told; keep what `merlon audit head` prints'

async function verifyFiles(
  context: CliContext,
  files: readonly string[],
  publicKey: string,
  heads: string | undefined,
): Promise<AuditVerdict> {
  const { verifyAudit } = await import('../audit/verify.ts')
  return verifyAudit({
    files: files.map((file) => readable(context, file)),
    publicKey: publicKeyIn(context, publicKey),
    headFiles: heads === undefined ? [] : [readable(context, heads)],
  })
}

function publicKeyIn(context: CliContext, file: string): string {
  const text = readFileSync(readable(context, file), 'utf8')
  if (/^-----BEGIN PUBLIC KEY-----\n/.test(text)) return text
  throw new CliError(`${file} is no public key`, 'give the file that `merlon audit key` printed')
}

/** A path that is there, or says so. */
function readable({ cwd }: CliContext, name: string): string {
  const path = resolve(cwd, name)
  try {
    accessSync(path, constants.R_OK)
  } catch (cause) {
    throw new CliError(`${name} cannot be read`, 'name a file that is there', { cause })
  }
  return path
}

/** Signed heads from a file: one a line, as `audit head` prints them. */
function readHeadFile(context: CliContext, name: string): readonly unknown[] {
  const lines = readFileSync(readable(context, name), 'utf8').split('\n')
  return lines.flatMap((line, at): unknown[] => {
    if (line.trim() === '') return []
    try {
      return [JSON.parse(line)]
    } catch (cause) {
      throw new CliError(`${name}:${at + 1} is no signed head`, 'give what `merlon audit head` printed', { cause })
    }
  })
}

/** What was found, for people. */
function verdictText({ ok, records, problems, logs }: AuditVerdict): string {
  const found = problems.map(({ kind, says, seq, file, line }) => {
    const where = [file, line].filter((each) => each !== undefined).join(':')
    return plain(`${kind}${seq === undefined ? '' : ` at record ${seq}`}${where === '' ? '' : ` (${where})`}: ${says}`)
  })
  // `signed` counts from the beginning of the log, and retention may have removed that.
  const covered = logs.map(({ log, first, size, signed }) =>
    plain(`log ${log.slice(0, 12)}: records ${first} to ${size - 1}, ${Math.max(0, signed - first)} of them signed`),
  )
  const verdict = ok ? `${records} records are as they were written` : `${records} records, and something is wrong`
  return [...covered, ...found, verdict].join('\n')
}
