import { hash, type KeyObject } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { argumentDigest } from '../audit/argument-digest.ts'
import type { AuditEntry } from '../audit/audit-log.ts'
import type { AuditReader } from '../audit/audit-reader.ts'
import { FileAuditLog } from '../audit/file-log.ts'
import { FileAuditReader } from '../audit/file-reader.ts'
import { headSigner } from '../audit/head.ts'
import { headExport, headsToAddress, headsToFile } from '../audit/head-export.ts'
import { lineSink } from '../audit/line-sink.ts'
import type { Clock, RandomBytes } from '../call.ts'
import type { Config } from '../config/schema.ts'
import { signingKeyOf } from '../sealing/root-key.ts'

export interface OpenAudit {
  readonly log: FileAuditLog
  readonly reader: AuditReader
  /** The members of a record that tell of arguments without telling them; `undefined` where none are wanted. */
  readonly argumentDigest: ((text: string) => string) | undefined
  /** Signs and writes what is left, and sends the last head. */
  close(): Promise<void>
}

export interface AuditParts {
  readonly project: string
  /** The data folder. */
  readonly folder: string
  readonly config: Config['audit']
  /** Makes the key that signs heads. */
  readonly headKey: KeyObject
  /** Keys what a record says of arguments. */
  readonly digestKey: KeyObject
  readonly clock: Clock
  readonly random: RandomBytes
  readonly report: (what: string, cause: unknown) => void
}

const dayMs = 86_400_000
/** How long a command waits for another that is soon done. */
const lockWaitMs = 2_000

/** Where the audit log of a project is, for those who read its files without opening it. */
export function auditPath(project: string, folder: string, { file }: Config['audit']): string {
  return file === undefined ? join(folder, 'audit.jsonl') : resolve(project, file)
}

/** Opens the audit log of a data folder, and puts the key that its heads are verified with beside it. */
export async function openAudit({
  project,
  folder,
  config,
  headKey,
  digestKey,
  clock,
  random,
  report,
}: AuditParts): Promise<OpenAudit> {
  const signer = headSigner(signingKeyOf(headKey))
  const { flushMs, headMs, segmentBytes, segmentMs, keepDays, keepBytes, onTamper, heads } = config
  const log = await FileAuditLog.open(auditPath(project, folder, config), {
    signer,
    clock,
    random,
    flushMs,
    headMs,
    segmentBytes,
    segmentMs,
    keepMs: keepDays === undefined ? undefined : keepDays * dayMs,
    keepBytes,
    onTamper,
    lockWaitMs,
    onFailure: (cause) => report('audit', cause),
  })
  const reader = new FileAuditReader(log.files, log, signer.publicKey)
  writeIfOther(join(folder, 'audit-key.pem'), reader.publicKey)
  const sends = [
    ...(heads.file === undefined ? [] : [headsToFile(resolve(project, heads.file))]),
    ...(heads.webhook === undefined ? [] : [headsToAddress(heads.webhook)]),
  ]
  const exports = sends.map((send) =>
    headExport({ send, onFailure: (cause) => report('the export of audit heads', cause) }),
  )
  for (const each of exports) log.onHead((head) => each.take(head))
  return {
    log,
    reader,
    argumentDigest: config.argumentDigest ? argumentDigest(digestKey) : undefined,
    async close() {
      try {
        await log.close()
      } finally {
        await Promise.all(exports.map((each) => each.close()))
      }
    },
  }
}

/** The public key is no secret. Whoever verifies should have a copy of their own; this one is for taking it. */
function writeIfOther(path: string, text: string): void {
  try {
    if (readFileSync(path, 'utf8') === text) return
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  writeFileSync(path, text, { mode: 0o644 })
}

/** The record of a start: what runs, and by which settings. They hold no secret, and the digest tells one set from another. */
export function startEntry(config: Config, version: string): AuditEntry {
  const digest = hash('sha256', JSON.stringify(config), 'base64url')
  return {
    type: 'server',
    success: true,
    level: 'info',
    action: 'start',
    detail: { version, node: process.versions.node, config: digest },
  }
}

/** Hands each line on to a stream, and records what it missed. */
export function handOn(log: Pick<FileAuditLog, 'addSink' | 'append'>, stream: Writable): void {
  log.addSink(
    lineSink(stream, (lines) => {
      log.append({ type: 'audit', success: false, level: 'warn', action: 'lines-missed', detail: { lines } })
    }),
  )
}
