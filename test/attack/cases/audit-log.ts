import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { AuditVerdict } from '../../../packages/merlon/src/audit/audit-reader.ts'
import { verifyAudit } from '../../../packages/merlon/src/audit/verify.ts'
import { type AttackCase, each } from '../attack-case.ts'
import type { Target } from '../harness.ts'
import { tool } from '../request.ts'

const area = 'The audit log'

/** What an auditor takes away: the lines, the heads, and the key. */
interface Copy {
  readonly lines: readonly string[]
  readonly heads: string
  readonly publicKey: string
}

/** Lets the server record some calls and sign them, and copies its log. */
async function copyOf(target: Target): Promise<Copy> {
  for (let times = 0; times < 12; times++) await target.send(tool('echo', { text: `${times}` }, { as: 'A.read' }))
  const folder = join(target.folder, '.merlon')
  const had = target.audit().length
  const heads = () => readFileSync(join(folder, 'audit-heads.jsonl'), 'utf8')
  await target.settled(() => {
    const last = JSON.parse(heads().trimEnd().split('\n').at(-1)!) as { size: number }
    expect(last.size).toBeGreaterThanOrEqual(had)
  })
  const text = target.auditBytes().toString('utf8')
  const lines = text.slice(0, text.lastIndexOf('\n')).split('\n')
  return { lines, heads: heads(), publicKey: readFileSync(join(folder, 'audit-key.pem'), 'utf8') }
}

/** Verifies a copy away from the server, after somebody changed its lines. */
async function verified({ heads, publicKey }: Copy, lines: readonly string[]): Promise<AuditVerdict> {
  const folder = mkdtempSync(join(tmpdir(), 'merlon-copy-'))
  try {
    writeFileSync(join(folder, 'audit.jsonl'), lines.map((line) => `${line}\n`).join(''))
    writeFileSync(join(folder, 'heads.jsonl'), heads)
    return await verifyAudit({
      files: [join(folder, 'audit.jsonl')],
      publicKey,
      headFiles: [join(folder, 'heads.jsonl')],
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The place of a record of a call that stands well before the last head. */
const place = (lines: readonly string[]) => lines.findIndex((line) => line.includes('"tool":"echo"')) + 3

function tamper(
  kind: string,
  change: (lines: readonly string[], at: number) => readonly string[],
  where: (at: number, lines: readonly string[]) => number,
): AttackCase['send'] {
  return async (target) => {
    const copy = await copyOf(target)
    expect(await verified(copy, copy.lines)).toMatchObject({ ok: true, problems: [] })
    const at = place(copy.lines)
    const changed = change(copy.lines, at)
    const { ok, problems } = await verified(copy, changed)
    expect(ok).toBe(false)
    expect(problems[0]).toMatchObject({ kind, seq: where(at, changed) })
    return undefined
  }
}

export const auditLogCases: readonly AttackCase[] = [
  ...each(
    {
      id: 'O-108',
      area,
      requirement: ['AL-02'],
      title: 'whatever is done to a copy of the log is found, and its place named',
      config: { audit: { flushMs: 1, headMs: 100 } },
    },
    {
      edit: tamper(
        'edited',
        (lines, at) => lines.with(at, lines[at]!.replace('"tool":"echo"', '"tool":"evil"')),
        (at) => at,
      ),
      delete: tamper(
        'removed',
        (lines, at) => lines.toSpliced(at, 1),
        (at) => at,
      ),
      insert: tamper(
        'inserted',
        (lines, at) => lines.toSpliced(at, 0, lines[at - 2]!),
        (at) => at,
      ),
      swap: tamper(
        'reordered',
        (lines, at) => lines.with(at, lines[at + 1]!).with(at + 1, lines[at]!),
        (at) => at,
      ),
      'truncate the tail': tamper(
        'truncated',
        (lines) => lines.slice(0, -5),
        (_, changed) => changed.length,
      ),
      'replace it with an older copy': tamper(
        'truncated',
        (lines, at) => lines.slice(0, at),
        (at) => at,
      ),
    },
  ),
  {
    id: 'O-108',
    sub: 'replace it with the log of another server',
    area,
    requirement: ['AL-02'],
    title: 'a log of another server is not taken for this one',
    config: { audit: { flushMs: 1, headMs: 101 } },
    alone: true,
    send: async (target) => {
      const copy = await copyOf(target)
      const { Target: Other } = await import('../harness.ts')
      const other = await Other.open({ audit: { flushMs: 1, headMs: 101 } })
      try {
        const { lines } = await copyOf(other)
        const { ok, problems } = await verified(copy, lines)
        expect(ok).toBe(false)
        expect(problems.map(({ kind }) => kind)).toContain('replaced')
      } finally {
        await other.close()
      }
      return undefined
    },
  },
  {
    id: 'X-108',
    area,
    requirement: ['AL-02'],
    title: 'a log that is written into while the server runs is told of, and no record of a call is lost',
    config: { audit: { flushMs: 1, headMs: 102 } },
    alone: true,
    send: async (target) => {
      await target.send(tool('echo', { text: 'before' }, { as: 'A.read' }))
      await target.settled(() => expect(target.audit().at(-1)).toMatchObject({ type: 'head' }))
      const path = target.auditFiles().at(-1)!
      const before = readFileSync(path)
      writeFileSync(path, '{"type":"auth","success":true}\n', { flag: 'a' })
      const answer = await target.send(tool('echo', { text: 'after' }, { as: 'A.read' }))
      expect(answer.status).toBe(200)
      await target.settled(() => {
        const lines = target.audit()
        expect(lines).toContainEqual(expect.objectContaining({ type: 'audit', action: 'tamper', success: false }))
        expect(lines.filter((line) => line['tool'] === 'echo')).toHaveLength(2)
      })
      // As it was, so that what is verified at the end is what the server wrote; that it found something is still told.
      writeFileSync(target.auditFiles()[0]!, before)
      target.knownTampering = true
      return undefined
    },
  },
  {
    id: 'X-109',
    area,
    requirement: ['AL-01'],
    title: 'sessions that ran out leave a record of how many',
    config: { session: { sweepMs: 1_000 } },
    alone: true,
    send: async (target) => {
      await target.openSession('A.read')
      await target.openSession('A.write')
      target.advance(7_200_000)
      return undefined
    },
    expect: { audit: { type: 'session', action: 'expire', outcome: '2', success: true } },
  },
]
