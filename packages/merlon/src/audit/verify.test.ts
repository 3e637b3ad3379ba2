import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeEntry, encodeMembers } from './audit-log.ts'
import type { AuditVerdict } from './audit-reader.ts'
import { Chain } from './chain.ts'
import { ChainCheck } from './chain-check.ts'
import { headSigner, type SignedHead } from './head.ts'
import { verifyAudit } from './verify.ts'

const signer = headSigner(generateKeyPairSync('ed25519').privateKey)
const stranger = headSigner(generateKeyPairSync('ed25519').privateKey)
const at = Date.UTC(2026, 6, 28)
const logId = '0123456789abcdef0123456789abcdef'

interface Written {
  readonly files: readonly (readonly string[])[]
  readonly heads: readonly SignedHead[]
}

/** A log of so many lines in all, with a head every hundred lines and at the end of each file. */
function logOf(
  size: number,
  { perFile = size, log = logId, says = 'call', by = signer, replaces = undefined as string | undefined } = {},
): Written {
  const files: string[][] = []
  const heads: SignedHead[] = []
  let chain = new Chain({ log, segment: 0, replaces })
  let lines: string[] = []
  const sealHead = () => {
    const { head, leaf } = chain.sealHead(by, at + chain.size)
    heads.push(head)
    lines.push(leaf.slice(1))
  }
  while (chain.size < size) {
    if (lines.length === 0) {
      if (files.length > 0) {
        chain = chain.clone()
        chain.segment = files.length
      }
      lines.push(chain.sealSegment(at).slice(1))
      continue
    }
    if (chain.size % 100 === 99 || lines.length === perFile - 1 || chain.size === size - 1) sealHead()
    else {
      const entry = {
        type: 'tool_access',
        success: true,
        level: 'info',
        tool: says,
        requestId: `r${chain.size}`,
      } as const
      lines.push(chain.seal(encodeMembers(encodeEntry(entry), at + chain.size)).slice(1))
    }
    if (lines.length === perFile) {
      files.push(lines)
      lines = []
    }
  }
  if (lines.length > 0) files.push(lines)
  return { files, heads }
}

/** Verifies lines that are in no file. */
function check(files: readonly (readonly string[])[], heads: readonly SignedHead[] = []): AuditVerdict {
  const checking = new ChainCheck(signer.publicKey, heads)
  for (const [number, lines] of files.entries()) {
    checking.startFile(`file ${number}`)
    for (const line of lines) {
      const buffer = Buffer.from(`.${line}`)
      checking.line(buffer, 1, buffer.length)
    }
    checking.endFile(0)
  }
  return checking.finish()
}
const kinds = ({ problems }: AuditVerdict) => problems.map(({ kind }) => kind)
const first = ({ problems: [problem] }: AuditVerdict) =>
  problem && { kind: problem.kind, seq: problem.seq, file: problem.file, line: problem.line }

describe('a log as it was written', () => {
  test('AL-02: is sound, in one file or in many, with and without the heads beside it', () => {
    for (const perFile of [1_000, 70, 4]) {
      const { files, heads } = logOf(1_000, { perFile })
      for (const kept of [[], heads]) {
        expect(check(files, kept)).toMatchObject({
          ok: true,
          problems: [],
          records: 1_000,
          logs: [{ log: logId, first: 0, size: 1_000, signed: 1_000, segments: files.length }],
        })
      }
    }
  })

  test('may go on beyond its last head, and says how far it is signed', () => {
    const { files } = logOf(250)
    expect(check([files[0]!.slice(0, 230)])).toMatchObject({ ok: true, logs: [{ size: 230, signed: 200 }] })
  })

  test('goes on when it is the next of one that was found tampered with, and says so', () => {
    const old = logOf(100, { log: 'f'.repeat(32) })
    const next = logOf(100, { replaces: 'f'.repeat(32) })
    expect(check([...old.files, ...next.files], [...old.heads, ...next.heads])).toMatchObject({
      ok: true,
      logs: [{ size: 100 }, { size: 100 }],
    })
  })
})

/** Follows a log step by step, so that what stands before a change is not read again for each. */
class Following {
  private readonly checking: ChainCheck
  private readonly lines: readonly string[]
  private at = 0

  constructor(lines: readonly string[], heads: readonly SignedHead[]) {
    this.lines = lines
    this.checking = new ChainCheck(signer.publicKey, heads)
    this.checking.startFile('audit.jsonl')
  }

  /** The first problem of the lines behind so many that are as they were. Positions come in their order. */
  problem(untouched: number, after: readonly string[], ends: boolean) {
    for (; this.at < untouched; this.at++) give(this.checking, this.lines[this.at]!)
    const copy = this.copy()
    for (const line of after) give(copy, line)
    if (ends) return first(copy.finish())
    copy.endFile(0)
    return first({ problems: copy.problems } as never)
  }

  private copy(): ChainCheck {
    const { current } = this.checking
    return Object.assign(Object.create(ChainCheck.prototype) as ChainCheck, this.checking, {
      problems: [...this.checking.problems],
      logs: [],
      suspect: [],
      current: current && { ...current, range: current.range.clone(), kept: [...current.kept], contradicted: [] },
    })
  }
}

function give(checking: ChainCheck, line: string): void {
  const buffer = Buffer.from(`.${line}`)
  checking.line(buffer, 1, buffer.length)
}

describe('F20: tampering with a log of ten thousand records', () => {
  const size = 10_000
  const { files, heads } = logOf(size)
  const lines = files[0]!
  const other = lines[4_711]!.replace('call', 'forged')
  const edit = (n: number) => lines[n]!.replace('"success":true', '"success":null')
  const placed = (n: number) =>
    other.replace(/^\{"seq":[0-9]+,"prev":"[^"]+"/, /^\{"seq":[0-9]+,"prev":"[^"]+"/.exec(lines[n]!)![0])
  const near = (n: number) => lines.slice(n, n + 6)

  /** What stands from position `n` on, over which positions it is tried, and what is found there. */
  const tampering: readonly [string, (n: number) => readonly string[], [number, number], string][] = [
    ['an edit', (n) => [edit(n), ...near(n + 1)], [1, size - 1], 'edited'],
    ['a removal', (n) => near(n + 1), [1, size - 2], 'removed'],
    ['an insertion', (n) => [other, ...near(n)], [1, size - 1], 'inserted'],
    ['an insertion that names the right line before it', (n) => [placed(n), ...near(n)], [1, size - 2], 'inserted'],
    ['a copy of the line before', (n) => [lines[n - 1]!, ...near(n)], [2, size - 1], 'inserted'],
    ['an exchange of two', (n) => [lines[n + 1]!, lines[n]!, ...near(n + 2)], [1, size - 2], 'reordered'],
  ]

  test.each(tampering)('AL-02: %s is found at every position, and its place named', (_, change, [from, to], kind) => {
    const following = new Following(lines, heads)
    for (let n = from; n <= to; n++) {
      const found = following.problem(n, change(n), false)
      if (found?.kind !== kind || found.seq !== n || found.line !== n + 1)
        expect({ n, found }).toEqual({ n, found: { kind, seq: n, line: n + 1, file: 'audit.jsonl' } })
    }
  })

  test('AL-02: an end that was removed is missed, wherever it was cut', () => {
    const following = new Following(lines, heads)
    for (let n = 1; n < size; n++) {
      const found = following.problem(n, [], true)
      if (found?.kind !== 'truncated' || found.seq !== n)
        expect({ n, found }).toEqual({ n, found: { kind: 'truncated', seq: n } })
    }
  })

  test('AL-02: a change of the first line is found', () => {
    expect(first(check([lines.with(0, edit(0))], heads))).toMatchObject({ kind: 'edited', seq: 0, line: 1 })
    expect(first(check([lines.slice(1)], heads))).toMatchObject({ kind: 'edited', line: 1 })
  })
})

describe('a log that was written anew', () => {
  const { files, heads } = logOf(1_000, { perFile: 250 })

  /** Every line chained again, as one who has not the key can. */
  const chainedAnew = (lines: readonly string[], keepHeads: boolean) => {
    const chain = new Chain({ log: logId, segment: 0 })
    return lines.flatMap((line) => {
      if (line.includes('"type":"head"') && !keepHeads) return []
      return [chain.seal(line.slice(line.indexOf('"timestamp"'), -1)).slice(1)]
    })
  }
  const lines = logOf(1_000).files[0]!.with(650, logOf(1_000).files[0]![650]!.replace('call', 'nothing'))

  test('AL-02: does not fit its heads', () => {
    expect(first(check([chainedAnew(lines, true)]))).toMatchObject({ kind: 'rewritten', seq: 600 })
  })

  test('AL-02: without its heads is unsigned, and does not fit those that were kept', () => {
    const anew = chainedAnew(lines, false)
    expect(kinds(check([anew]))).toEqual(['unsigned'])
    expect(kinds(check([anew], logOf(1_000).heads))).toContain('rewritten')
  })

  test('AL-02: with heads of another key is known by them', () => {
    const forged = logOf(1_000, { says: 'nothing', by: stranger })
    expect(kinds(check(forged.files))).toContain('head-invalid')
    expect(kinds(check(files, forged.heads))).toContain('head-invalid')
  })

  test('AL-02: with the right key is a fork of what was signed before', () => {
    const forked = logOf(1_000, { says: 'nothing' })
    expect(kinds(check(forked.files, [heads[3]!]))).toEqual(['forked'])
  })

  test('AL-02: under another name is a replacement', () => {
    const replaced = logOf(1_000, { log: 'e'.repeat(32) })
    expect(kinds(check(replaced.files, heads))).toEqual(['replaced'])
  })

  test('AL-02: an older copy lacks what a newer head covers', () => {
    const older = logOf(500, { perFile: 250 })
    expect(first(check(files.slice(0, 2), heads))).toMatchObject({ kind: 'truncated', seq: 500 })
    expect(check(older.files, older.heads).ok).toBe(true)
  })

  test.each([
    ['the first', 0, 'beginning-missing'],
    ['one between', 1, 'removed'],
    ['the last', 3, 'truncated'],
  ])('AL-02: %s of its files is missed, and what is left is still checked', (_, which, kind) => {
    const verdict = check(files.toSpliced(which, 1), heads)
    expect(kinds(verdict)).toEqual([kind])
    const edited = files.map((each, at) => (at === 2 ? each.with(7, each[7]!.replace('call', 'none')) : each))
    expect(kinds(check(edited.toSpliced(which, 1), heads))).toContain('edited')
  })

  test('AL-02: a record of retention that no head covers excuses no beginning that is missing', () => {
    const { files: all } = logOf(400, { perFile: 100 })
    const chain = new Chain({ log: logId, segment: 0 })
    // The lines of the log again, so that the chain stands where it ends.
    for (const line of all.flat()) chain.seal(line.slice(line.indexOf('"timestamp"'), -1))
    const detail = { log: logId, first: 100, files: ['audit-000000.jsonl'] }
    const entry = { type: 'audit', success: true, level: 'info', action: 'prune', detail } as const
    const said = chain.seal(encodeMembers(encodeEntry(entry), at)).slice(1)
    const { leaf } = chain.sealHead(signer, at)
    const left = [...all.slice(1, 3), [...all[3]!, said]]
    expect(kinds(check(left))).toEqual(['beginning-missing'])
    expect(check([...left.slice(0, 2), [...left[2]!, leaf.slice(1)]])).toMatchObject({ ok: true })
  })

  test('AL-02: each file that was changed is named', () => {
    const changed = files.map((each) => each.with(9, each[9]!.replace('call', 'none')))
    const places = check(changed, heads).problems.map(({ kind, file, line }) => [kind, file, line])
    expect(places).toEqual([0, 1, 2, 3].map((file) => ['edited', `file ${file}`, 10]))
  })
})

describe('any change of any byte', () => {
  const { files, heads } = logOf(300, { perFile: 90 })
  const bytes = files.map((lines) => Buffer.from(lines.map((line) => `${line}\n`).join('')))
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'merlon-verify-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  const verify = async (contents: readonly Buffer[], kept: readonly SignedHead[]) => {
    const names = contents.map((_, at) =>
      join(folder, at === contents.length - 1 ? 'audit.jsonl' : `audit-00000${at}.jsonl`),
    )
    await Promise.all(names.map((name, at) => writeFile(name, contents[at]!)))
    return verifyAudit({ files: names.toReversed(), publicKey: signer.publicKey, heads: kept })
  }

  test('AL-02: none is found in what was written', async () => {
    expect(await verify(bytes, heads)).toMatchObject({ ok: true, records: 300 })
    expect(await verify(bytes, [])).toMatchObject({ ok: true, records: 300 })
  })

  test('AL-02: a last line that was cut short is found where it is', async () => {
    const cut = bytes.with(-1, bytes.at(-1)!.subarray(0, -7))
    const { ok, problems } = await verify(cut, [])
    expect(ok).toBe(false)
    expect(problems).toMatchObject([{ kind: 'truncated', file: 'audit.jsonl', line: files.at(-1)!.length }])
  })

  test('AL-02: heads among the files are taken for heads', async () => {
    const path = join(folder, 'heads.jsonl')
    await writeFile(path, heads.map((head) => `${JSON.stringify(head)}\n`).join(''))
    const names = bytes.map((_, at) => join(folder, at === bytes.length - 1 ? 'audit.jsonl' : `audit-00000${at}.jsonl`))
    await Promise.all(names.map((name, at) => writeFile(name, bytes[at]!)))
    const publicKey = signer.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    expect(await verifyAudit({ files: [path, ...names], publicKey })).toMatchObject({ ok: true, records: 300 })
    const cut = await verifyAudit({ files: [path, ...names.slice(0, 2)], publicKey })
    expect(kinds(cut)).toEqual(['truncated'])
  })

  test('AL-02: is found, with the heads beside the log and without them', async () => {
    const place = fc
      .nat({ max: bytes.length - 1 })
      .chain((file) => fc.tuple(fc.constant(file), fc.nat({ max: bytes[file]!.length - 1 })))
    await fc.assert(
      fc.asyncProperty(place, fc.integer({ min: 1, max: 255 }), fc.boolean(), async ([file, at], flip, withHeads) => {
        const changed = Buffer.from(bytes[file]!)
        changed[at] = changed[at]! ^ flip
        const { ok, problems } = await verify(bytes.with(file, changed), withHeads ? heads : [])
        expect(ok).toBe(false)
        expect(problems.length).toBeGreaterThan(0)
      }),
      { numRuns: 400 },
    )
  })

  test('AL-02: any bytes at all are a verdict, and never a sound log', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2_000 }), async (given) => {
        expect((await verify([Buffer.from(given)], heads)).ok).toBe(false)
      }),
      { numRuns: 200 },
    )
  })
})
