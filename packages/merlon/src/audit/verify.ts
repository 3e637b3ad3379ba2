import { createPublicKey, type KeyObject } from 'node:crypto'
import { basename } from 'node:path'
import type { AuditProblem, AuditVerdict } from './audit-reader.ts'
import { ChainCheck } from './chain-check.ts'
import { parseHead, type SignedHead } from './head.ts'
import { eachLine } from './lines.ts'
import { parseLineHead, parseRecord, parseSegment } from './record-line.ts'

export interface VerifyOptions {
  /** The files of the log, in any order; those that begin with a head are taken for heads. */
  readonly files: readonly string[]
  /** As PEM, or as a key. */
  readonly publicKey: string | KeyObject
  /** Files with heads, one a line: the server's own, or what was kept elsewhere. */
  readonly headFiles?: readonly string[] | undefined
  readonly heads?: readonly SignedHead[] | undefined
  /** Reads no more of a file than this: the part that its writer had finished. */
  readonly endOf?: ((file: string) => number | undefined) | undefined
}

/**
 * Checks a log with the public key alone: that each line is the one that was written, in its place, that the heads are
 * signed and fit, and that nothing is missing up to the newest head. Needs no server and no secret.
 *
 * What no head covers yet is held together by the chain, and only by it: who can write the files could have written the end
 * anew since the last head.
 */
export async function verifyAudit({
  files,
  publicKey,
  headFiles = [],
  heads = [],
  endOf = () => undefined,
}: VerifyOptions): Promise<AuditVerdict> {
  const key = typeof publicKey === 'string' ? createPublicKey(publicKey) : publicKey
  const { segments, beside } = await sorted(files)
  const kept = await Promise.all([...headFiles, ...beside].map(readHeads))
  const check = new ChainCheck(key, [...heads, ...kept.flatMap((each) => each.heads)])
  for (const file of await inOrder(segments)) {
    check.startFile(basename(file))
    const end = endOf(file)
    const { torn } = await eachLine(
      file,
      (buffer, start, stop) => check.line(buffer, start, stop),
      end === undefined ? {} : { to: end },
    )
    check.endFile(torn)
  }
  const verdict = check.finish()
  const problems = [...verdict.problems, ...kept.flatMap((each) => each.problems)]
  return { ...verdict, ok: problems.length === 0, problems }
}

/** Tells the files of a log from those with heads that stand beside them: `audit*.jsonl` names both. */
async function sorted(files: readonly string[]): Promise<{ segments: string[]; beside: string[] }> {
  const segments: string[] = []
  const beside: string[] = []
  for (const file of files) {
    const first = (await firstLine(file)) ?? ''
    // The record of a head in the log has a place in the chain; a head beside it has none.
    const isHead = parseLineHead(first) === undefined && parseHead(parseRecord(first)) !== undefined
    ;(isHead ? beside : segments).push(file)
  }
  return { segments, beside }
}

/** Reads heads, one a line. A last line that is cut short is passed over; any other that is no head is a problem. */
export async function readHeads(
  file: string,
): Promise<{ readonly heads: SignedHead[]; readonly problems: AuditProblem[] }> {
  const heads: SignedHead[] = []
  const problems: AuditProblem[] = []
  const name = basename(file)
  let line = 0
  await eachLine(file, (buffer, start, end) => {
    line++
    const head = parseHead(parseRecord(buffer.toString('utf8', start, end)))
    if (head !== undefined) heads.push(head)
    else {
      const says = `line ${line} of ${name} is no head`
      problems.push({ kind: 'head-invalid', log: undefined, seq: undefined, file: name, line, says })
    }
  })
  return { heads, problems }
}

/**
 * The order in which the files were written: by the number in their names, and the one without a number last. Files that
 * have other names are in the order that their first lines give.
 */
async function inOrder(files: readonly string[]): Promise<readonly string[]> {
  const numbers = files.map(numberOf)
  const byName = numbers.some((number) => number !== undefined)
  const placed = await Promise.all(
    files.map(async (file, at) => ({ file, place: byName ? numbers[at] : await segmentOf(file) })),
  )
  const last = Number.MAX_SAFE_INTEGER
  return placed.sort((left, right) => (left.place ?? last) - (right.place ?? last)).map(({ file }) => file)
}

function numberOf(file: string): number | undefined {
  const number = /-([0-9]{6,12})\.[^.]*$/.exec(basename(file))?.[1]
  return number === undefined ? undefined : Number(number)
}

async function segmentOf(file: string): Promise<number | undefined> {
  const line = await firstLine(file)
  return line === undefined ? undefined : parseSegment(line)?.segment
}

/** The first line of a file, if it has one. */
export async function firstLine(file: string): Promise<string | undefined> {
  let first: string | undefined
  await eachLine(
    file,
    (buffer, start, end) => {
      first ??= buffer.toString('utf8', start, end)
    },
    { to: 16_384 },
  )
  return first
}
