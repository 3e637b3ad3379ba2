import { generateKeyPairSync } from 'node:crypto'
import {
  appendFile,
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { AuditEntry } from './audit-log.ts'
import { FileAuditLog } from './file-log.ts'
import type { FileLogOptions } from './file-log-options.ts'
import { headSigner } from './head.ts'
import { verifyAudit } from './verify.ts'

const entry = (reason: string): AuditEntry => ({ type: 'server', success: true, level: 'info', reason })
const unavailable = expect.objectContaining({ code: 'audit.unavailable' })

const signer = headSigner(generateKeyPairSync('ed25519').privateKey)
let folder: string
let path: string
let logs: FileAuditLog[]
let failures: unknown[]
let now: number

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'merlon-audit-'))
  path = join(folder, 'audit.jsonl')
  logs = []
  failures = []
  now = 1_800_000_000_000
})

afterEach(async () => {
  vi.restoreAllMocks()
  await Promise.allSettled(logs.map((log) => log.close()))
  await rm(folder, { recursive: true })
})

/** Flushes only when told, so that no test waits for a timer. */
const openLog = async (flushMs = 3_600_000, options: Partial<FileLogOptions> = {}) => {
  const log = await FileAuditLog.open(path, {
    signer,
    flushMs,
    headMs: 3_600_000,
    segmentBytes: 1_073_741_824,
    segmentMs: 2_147_483_647,
    onTamper: 'continue',
    lockWaitMs: 0,
    clock: () => now++,
    onFailure: (cause) => failures.push(cause),
    ...options,
  })
  logs.push(log)
  return log
}
/** Closes a log as it is closed in peace. */
const closeLog = async (log: FileAuditLog) => {
  await log.close()
  logs = logs.filter((one) => one !== log)
}
const reasons = async () => {
  const text = await readFile(path, 'utf8')
  expect(text === '' || text.endsWith('\n')).toBe(true)
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { type: string; reason: string })
    .filter(({ type }) => type === 'server')
    .map(({ reason }) => reason)
}

const records = async (type: string, file = path) =>
  (await readFile(file, 'utf8'))
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((record) => record['type'] === type)
const verdict = async () => {
  const names = (await readdir(folder)).filter((name) => /^audit(?:-[0-9]+)?\.jsonl$/.test(name))
  const files = names.map((name) => join(folder, name))
  return verifyAudit({ files, publicKey: signer.publicKey, headFiles: [join(folder, 'audit-heads.jsonl')] })
}

/** The methods of every file handle of this process. */
async function handles(): Promise<Awaited<ReturnType<typeof open>>> {
  const file = await open('/dev/null')
  await file.close()
  return Object.getPrototypeOf(file)
}
const full = () => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })

/** A disk that fills up after `bytes` of the next write. */
async function fillDiskAfter(bytes: number): Promise<void> {
  vi.spyOn(await handles(), 'appendFile').mockImplementationOnce(async (data) => {
    await appendFile(path, String(data).slice(0, bytes))
    throw full()
  })
}

describe('the audit file', () => {
  test('keeps records in their order, and only its owner may read it', async () => {
    const log = await openLog()
    for (let at = 0; at < 200; at++) log.append(entry(`r${at}`))
    await log.commit(entry('last'))
    expect(await reasons()).toEqual([...Array.from({ length: 200 }, (_, at) => `r${at}`), 'last'])
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  test('AL-03: a change is on the disk when it is answered, and so is all that came before it', async () => {
    const log = await openLog()
    log.append(entry('before'))
    const synced = vi.spyOn(await handles(), 'datasync')
    await log.commit(entry('change'))
    expect(synced).toHaveBeenCalledTimes(1)
    expect(await reasons()).toEqual(['before', 'change'])
  })

  test('many changes at once are each written once, in their order', async () => {
    const log = await openLog()
    await Promise.all(Array.from({ length: 50 }, (_, at) => log.commit(entry(`c${at}`))))
    expect(await reasons()).toEqual(Array.from({ length: 50 }, (_, at) => `c${at}`))
  })

  test('records of calls are written by themselves', async () => {
    const log = await openLog(1)
    log.append(entry('call'))
    await vi.waitFor(async () => expect(await reasons()).toEqual(['call']), { timeout: 15_000 })
  })

  test('is not written on when it was removed: then no call is made', async () => {
    const log = await openLog()
    await log.commit(entry('kept'))
    await rm(path)
    await expect(log.commit(entry('lost'))).rejects.toThrow(unavailable)
    expect(() => log.check()).toThrow(unavailable)
    expect(failures).toHaveLength(1)
    await expect(log.close()).rejects.toThrow(unavailable)
    logs.length = 0
  })

  test('tells what waits, and since when', async () => {
    const log = await openLog()
    expect(log.backlog()).toEqual({ bytes: 0, lagMs: 0 })
    log.append(entry('waiting'))
    const { bytes } = log.backlog()
    expect(bytes).toBeGreaterThan(0)
    log.append(entry('waiting'))
    expect(log.backlog().bytes).toBe(2 * bytes)
    await log.commit(entry('sync'))
    expect(log.backlog()).toEqual({ bytes: 0, lagMs: 0 })
  })

  test('closing writes what waits; after it nothing is taken', async () => {
    const log = await openLog()
    log.append(entry('waiting'))
    await log.close()
    expect(await reasons()).toEqual(['waiting'])
    expect(() => log.check()).toThrow(unavailable)
    await expect(log.commit(entry('late'))).rejects.toThrow(unavailable)
    logs.length = 0
  })

  test('goes on behind what is there', async () => {
    const first = await openLog()
    await first.commit(entry('one'))
    await closeLog(first)
    await (await openLog()).commit(entry('two'))
    expect(await reasons()).toEqual(['one', 'two'])
  })

  test.each([1, 2, 60, 100])('a last line that lost all but %i bytes is cut off when it is opened', async (left) => {
    const first = await openLog()
    await first.commit(entry('one'))
    await first.commit(entry('torn'))
    const bytes = await readFile(path)
    const torn = bytes.subarray(0, bytes.lastIndexOf(0x0a, -2) + 1 + left)
    await closeLog(first)
    await rm(join(folder, 'audit-heads.jsonl'))
    await writeFile(path, torn)
    const log = await openLog()
    await log.commit(entry('new'))
    expect(await reasons()).toEqual(['one', 'new'])
    expect(await records('audit')).toMatchObject([{ action: 'recovered', detail: { unsigned: 2, torn: left } }])
    await closeLog(log)
    expect(await verdict()).toMatchObject({ ok: true, problems: [] })
  })

  test('an empty file is begun', async () => {
    await writeFile(path, '')
    await (await openLog()).commit(entry('new'))
    expect(await reasons()).toEqual(['new'])
  })

  test('a second writer is refused until the first has closed', async () => {
    const first = await openLog()
    await expect(openLog()).rejects.toThrow('another process writes the audit log')
    await closeLog(first)
    await (await openLog()).commit(entry('now'))
    expect(await reasons()).toEqual(['now'])
  })
})

describe('an audit file that cannot be written', () => {
  test('AL-03: refuses calls and changes until it can, and says so once', async () => {
    const log = await openLog()
    expect(() => log.check()).not.toThrow()
    await fillDiskAfter(0)
    await expect(log.commit(entry('one'))).rejects.toThrow(unavailable)
    expect(() => log.check()).toThrow(unavailable)
    await fillDiskAfter(0)
    await expect(log.commit(entry('two'))).rejects.toThrow(unavailable)
    expect(failures).toHaveLength(1)
    await log.commit(entry('three'))
    expect(() => log.check()).not.toThrow()
    expect(await reasons()).toEqual(['one', 'two', 'three'])
  })

  test.each([0, 1, 60, 100, 101, 102, 150, 250, 10_000])(
    'a disk that fills up %i bytes into a write loses and doubles nothing',
    async (bytes) => {
      const log = await openLog()
      await log.commit(entry('kept'))
      for (const reason of ['one', 'two', 'three']) log.append(entry(reason))
      await fillDiskAfter(bytes)
      await expect(log.commit(entry('four'))).rejects.toThrow(unavailable)
      log.append(entry('five'))
      await log.commit(entry('six'))
      expect(await reasons()).toEqual(['kept', 'one', 'two', 'three', 'four', 'five', 'six'])
    },
  )

  test('a sync that fails loses and doubles nothing', async () => {
    const log = await openLog()
    vi.spyOn(await handles(), 'datasync').mockRejectedValueOnce(full())
    await expect(log.commit(entry('one'))).rejects.toThrow(unavailable)
    await log.commit(entry('two'))
    expect(await reasons()).toEqual(['one', 'two'])
  })

  test('records that come while a failing write is under way keep their place behind it', async () => {
    const log = await openLog()
    vi.spyOn(await handles(), 'appendFile').mockImplementationOnce(async () => {
      log.append(entry('meanwhile'))
      throw full()
    })
    await expect(log.commit(entry('one'))).rejects.toThrow(unavailable)
    await log.commit(entry('two'))
    expect(await reasons()).toEqual(['one', 'meanwhile', 'two'])
  })

  test('tries again by itself', async () => {
    const log = await openLog(1)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      await fillDiskAfter(0)
      log.append(entry('one'))
      vi.advanceTimersByTime(1)
      await vi.waitUntil(() => failures.length === 1, { timeout: 15_000 })
      expect(() => log.check()).toThrow(unavailable)
      vi.advanceTimersByTime(1_000)
    } finally {
      vi.useRealTimers()
    }
    await vi.waitFor(() => log.check(), { timeout: 15_000 })
    expect(await reasons()).toEqual(['one'])
  })

  test('RL-17: refuses calls when too many records wait, and beyond twice that counts what it cannot keep', async () => {
    const log = await openLog()
    const line = `"level":"info","type":"server","reason":"${'x'.repeat(1_048_576)}"`
    for (let at = 0; at < 8; at++) log.appendLine(line)
    expect(() => log.check()).toThrow(unavailable)
    for (let at = 0; at < 40; at++) log.appendLine(line)
    await log.commit(entry('after'))
    const found = await reasons()
    expect(found.slice(-2)).toEqual(['after', 'records-lost'])
    const lost = 48 - (found.length - 2)
    expect(lost).toBeGreaterThan(30)
    expect((await records('server')).at(-1)).toMatchObject({
      type: 'server',
      success: false,
      level: 'error',
      outcome: String(lost),
    })
    log.check()
    await log.commit(entry('next'))
    expect((await reasons()).at(-1)).toBe('next')
  })
})

describe('a log that somebody else changed', () => {
  /** A log that was closed in peace, as its lines. */
  const written = async () => {
    const log = await openLog()
    for (const reason of ['one', 'two', 'three']) await log.commit(entry(reason))
    await closeLog(log)
    return (await readFile(path, 'utf8')).split('\n').slice(0, -1)
  }
  const put = (lines: readonly string[]) => writeFile(path, lines.map((line) => `${line}\n`).join(''))

  test.each<[string, string, (lines: string[]) => readonly string[]]>([
    ['edited', 'edited', (lines) => lines.with(2, lines[2]!.replace('two', 'TWO'))],
    ['robbed of a line', 'removed', (lines) => lines.toSpliced(2, 1)],
    ['cut short', 'truncated', (lines) => lines.slice(0, -2)],
    ['replaced by what is no log', 'edited', () => ['{"reason":"one"}']],
  ])('AL-02: that was %s is left as it is, and a new one names it', async (_, kind, change) => {
    const found = change(await written())
    await put(found)
    const log = await openLog()
    await log.commit(entry('after'))
    expect(await reasons()).toEqual(['after'])
    expect(await readFile(join(folder, 'audit-000000.jsonl'), 'utf8')).toBe(found.map((line) => `${line}\n`).join(''))
    expect(await records('audit')).toMatchObject([
      {
        action: 'tamper',
        success: false,
        level: 'error',
        reason: kind,
        detail: { when: 'start', file: 'audit-000000.jsonl' },
      },
    ])
    expect(failures).toMatchObject([{ message: expect.stringContaining('was tampered with') }])
    await closeLog(log)
    expect(await verdict()).toMatchObject({ ok: false })
    const again = await openLog()
    await again.commit(entry('later'))
    expect(await reasons()).toEqual(['after', 'later'])
    expect(failures).toHaveLength(1)
  })

  test('AL-02: that was removed with all it held is missed', async () => {
    await written()
    await rm(path)
    await (await openLog()).commit(entry('after'))
    expect(await records('audit')).toMatchObject([
      { action: 'tamper', detail: { says: 'the log is gone: a head covers 4 records of it' } },
    ])
  })

  test('AL-02: from before records were chained is put aside as it is, and named by what follows', async () => {
    const old =
      '{"timestamp":"2026-11-21T22:56:56.230Z","level":"info","type":"server","success":true,"action":"start"}\n'
    await writeFile(path, old)
    const log = await openLog(3_600_000, { onTamper: 'refuse' })
    let told = 0
    log.onTampered(() => told++)
    await log.commit(entry('after'))
    await closeLog(log)
    expect(told).toBe(0)
    expect(await readFile(join(folder, 'unchained-audit.jsonl'), 'utf8')).toBe(old)
    expect(await records('audit')).toMatchObject([
      {
        seq: 1,
        action: 'upgrade',
        detail: { file: 'unchained-audit.jsonl', bytes: 104, sha256: 'BZUNeU_JqfV7XT8L4diVxfdtmDRr2abQFEjGhEWOTGw' },
      },
    ])
    expect(await verdict()).toMatchObject({ ok: true })
  })

  test.each(['head', 'closed file', 'chained line', 'file of before'])(
    'AL-02: that looks as if from before the chain, and has a %s, was put there',
    async (trace) => {
      const old = '{"timestamp":"2026-11-21T22:56:56.230Z","level":"info","type":"server","success":true}\n'
      await written()
      const lines = await readFile(path, 'utf8')
      if (trace !== 'head') await rm(join(folder, 'audit-heads.jsonl'))
      if (trace === 'closed file') await writeFile(join(folder, 'audit-000000.jsonl'), lines)
      if (trace === 'file of before') await writeFile(join(folder, 'unchained-audit.jsonl'), old)
      await writeFile(path, trace === 'chained line' ? `${old}${lines}` : old)
      await openLog()
      expect(await records('audit')).toMatchObject([{ action: 'tamper' }])
      expect(failures).toHaveLength(1)
    },
  )

  test('AL-02: that was replaced by an older copy is known by its head', async () => {
    await written()
    const copy = await readFile(path)
    const log = await openLog()
    await log.commit(entry('four'))
    await closeLog(log)
    await writeFile(path, copy)
    await openLog()
    expect(await records('audit')).toMatchObject([{ action: 'tamper', reason: 'truncated' }])
  })

  test.each(['', '{"log":"somebody else"}\n'])(
    'AL-02: whose heads were written over is known by them',
    async (line) => {
      await written()
      const forged = headSigner(generateKeyPairSync('ed25519').privateKey).sign('f'.repeat(32), 2, 'A'.repeat(43), now)
      await appendFile(join(folder, 'audit-heads.jsonl'), `${line}${JSON.stringify(forged)}\n`)
      let told = 0
      ;(await openLog()).onTampered(() => told++)
      expect(await records('audit')).toMatchObject([{ action: 'tamper', reason: 'head-invalid' }])
      expect(told).toBe(1)
    },
  )

  test('AL-02: whose last closed file has another end is not gone on with', async () => {
    const log = await openLog(3_600_000, { segmentBytes: 3_000 })
    while ((await log.files.listClosed()).length === 0) await log.commit(entry('one'))
    await closeLog(log)
    const closed = join(folder, 'audit-000000.jsonl')
    const lines = (await readFile(closed, 'utf8')).trimEnd().split('\n')
    await writeFile(closed, `${lines.slice(0, -1).join('\n')}\n`)
    await openLog()
    const says = 'audit.jsonl does not go on from the end of audit-000000.jsonl'
    expect(await records('audit')).toMatchObject([{ action: 'tamper', detail: { says } }])
  })

  test('a head that a kill cut short is cut off', async () => {
    await written()
    await appendFile(join(folder, 'audit-heads.jsonl'), '{"log":"0123')
    const log = await openLog()
    await log.commit(entry('four'))
    await closeLog(log)
    expect(await verdict()).toMatchObject({ ok: true })
    expect(await reasons()).toEqual(['one', 'two', 'three', 'four'])
  })

  test('AL-02: is not gone on with where that is to be refused', async () => {
    const lines = await written()
    await put(lines.with(2, lines[2]!.replace('two', 'TWO')))
    await expect(openLog(3_600_000, { onTamper: 'refuse' })).rejects.toThrow(
      'the audit log was tampered with: record 2 was changed',
    )
    await put(lines)
    await (await openLog(3_600_000, { onTamper: 'refuse' })).commit(entry('four'))
    expect(await reasons()).toEqual(['one', 'two', 'three', 'four'])
  })

  test.each<[string, () => Promise<void>]>([
    ['writes into', () => appendFile(path, '{"reason":"theirs"}\n')],
    ['cuts', async () => writeFile(path, (await readFile(path)).subarray(0, -10))],
  ])('AL-02: while it is written: who %s it is told of in a new one, and no record is lost', async (_, change) => {
    const log = await openLog()
    await log.commit(entry('one'))
    await change()
    await log.commit(entry('two'))
    log.append(entry('three'))
    await closeLog(log)
    expect(await reasons()).toEqual(['two', 'three'])
    expect(await records('audit')).toMatchObject([{ action: 'tamper', detail: { when: 'running' } }])
    const { logs: verified, problems } = await verdict()
    expect(verified).toHaveLength(2)
    expect(problems.map(({ kind }) => kind)).toContain('found-tampered')
    expect(failures).toHaveLength(1)
  })

  test('AL-02: a file of another hand in its place is not written past', async () => {
    const log = await openLog()
    await log.commit(entry('one'))
    await rename(path, join(folder, 'elsewhere'))
    await writeFile(path, '')
    log.append(entry('two'))
    await expect(log.signHead()).rejects.toThrow(unavailable)
    expect(() => log.check()).toThrow(unavailable)
  })
})

describe('the files of a log', () => {
  const small = { segmentBytes: 3_000 }
  const files = async () => (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort()

  test('AL-06: one that is full is closed with a head, and the next goes on', async () => {
    const log = await openLog(3_600_000, small)
    for (let at = 0; at < 60; at++) await log.commit(entry(`r${at}`))
    await closeLog(log)
    const names = await files()
    expect(names.slice(0, 4)).toEqual([
      'audit-000000.jsonl',
      'audit-000001.jsonl',
      'audit-000002.jsonl',
      'audit-heads.jsonl',
    ])
    for (const name of names.slice(0, 3)) {
      const lines = (await readFile(join(folder, name), 'utf8')).trimEnd().split('\n')
      expect(lines[0]).toContain('"type":"segment"')
      expect(lines.at(-1)).toContain('"type":"head"')
    }
    expect(await verdict()).toMatchObject({ ok: true, logs: [{ first: 0, segments: names.length - 1 }] })
  })

  test('one that is old is closed', async () => {
    const log = await openLog(3_600_000, { segmentMs: 60_000 })
    await log.commit(entry('one'))
    now += 60_000
    await log.commit(entry('two'))
    expect(await files()).toEqual(['audit-000000.jsonl', 'audit-heads.jsonl', 'audit.jsonl'])
  })

  test('AL-06: what is kept long enough is removed from its oldest end, said, and what is left is sound', async () => {
    const log = await openLog(3_600_000, { ...small, keepMs: 86_400_000 })
    for (let at = 0; at < 30; at++) await log.commit(entry(`old${at}`))
    const old = (await files()).filter((name) => /[0-9]/.test(name))
    now += 86_400_000
    for (let at = 0; at < 30; at++) await log.commit(entry(`new${at}`))
    await closeLog(log)
    const left = await files()
    expect(left.filter((name) => old.includes(name))).toEqual([])
    const {
      ok,
      logs: [verified],
    } = await verdict()
    expect(ok).toBe(true)
    expect(verified!.first).toBeGreaterThan(10)
    const kept = (await readFile(join(folder, 'audit-heads.jsonl'), 'utf8')).trimEnd().split('\n')
    expect(Math.min(...kept.map((line) => JSON.parse(line).size))).toBeGreaterThan(verified!.first)
    const prunes = (await Promise.all(left.map((name) => records('audit', join(folder, name))))).flat()
    expect(prunes[0]).toMatchObject({ action: 'prune', detail: { files: expect.arrayContaining(old) } })
  })

  test('AL-06: more than may be kept is removed from its oldest end', async () => {
    const log = await openLog(3_600_000, { ...small, keepBytes: 12_000 })
    for (let at = 0; at < 200; at++) await log.commit(entry(`r${at}`))
    await closeLog(log)
    expect((await files()).length).toBeLessThan(8)
    expect(await verdict()).toMatchObject({ ok: true })
    // By hand, another one.
    await rm(join(folder, (await files())[0]!))
    expect(await verdict()).toMatchObject({ ok: false, problems: [{ kind: 'beginning-missing' }] })
  })

  test('a crash between the closing of one and the beginning of the next is healed', async () => {
    const log = await openLog(3_600_000, small)
    for (let at = 0; at < 60; at++) await log.commit(entry(`r${at}`))
    await closeLog(log)
    const before = (await verdict()).records
    // The newest had its number, and its successor had no name yet.
    await rename(path, join(folder, 'audit-000099.jsonl'))
    await writeFile(`${path}.next`, '{"half a li')
    const next = await openLog()
    await next.commit(entry('after'))
    await closeLog(next)
    expect(await reasons()).toEqual(['after'])
    expect(await verdict()).toMatchObject({ ok: true, records: before + 3 })
    expect(await files()).not.toContain('audit.jsonl.next')
  })

  test('a kill right after the next was begun loses nothing', async () => {
    const log = await openLog(3_600_000, small)
    for (let at = 0; (await files()).length < 3; at++) await log.commit(entry(`r${at}`))
    const copy = join(folder, 'copy')
    await mkdir(copy)
    for (const name of await files()) await copyFile(join(folder, name), join(copy, name))
    await closeLog(log)
    path = join(copy, 'audit.jsonl')
    const next = await openLog()
    await closeLog(next)
    expect(failures).toEqual([])
    expect(await records('audit')).toMatchObject([{ action: 'recovered', detail: { unsigned: 1, torn: 0 } }])
  })

  test('AL-02: a head is signed when it is due, only where something is new, and told when it is on the disk', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const log = await openLog(3_600_000, { headMs: 10_000 })
      const heads: number[] = []
      log.onHead(({ size }) => void heads.push(size))
      log.append(entry('one'))
      vi.advanceTimersByTime(9_999)
      await log.written()
      expect(heads).toEqual([])
      vi.advanceTimersByTime(1)
      await log.written()
      expect(heads).toEqual([2])
      vi.advanceTimersByTime(60_000)
      await log.written()
      await log.signHead()
      expect(heads).toEqual([2])
    } finally {
      vi.useRealTimers()
    }
  })

  test('AL-08: a clock that is set back changes no order', async () => {
    const log = await openLog()
    await log.commit(entry('one'))
    now -= 86_400_000
    await log.commit(entry('two'))
    await closeLog(log)
    const seqs = (await readFile(path, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).seq)
    expect(seqs).toEqual([0, 1, 2, 3])
    expect(await verdict()).toMatchObject({ ok: true, records: 4 })
  })
})
