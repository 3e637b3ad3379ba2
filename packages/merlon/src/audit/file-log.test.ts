import { appendFile, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { AuditEntry } from './audit-log.ts'
import { FileAuditLog } from './file-log.ts'

const entry = (reason: string): AuditEntry => ({ type: 'server', success: true, level: 'info', reason })
const unavailable = expect.objectContaining({ code: 'audit.unavailable' })

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
const openLog = async (flushMs = 3_600_000) => {
  const log = await FileAuditLog.open(path, { flushMs, clock: () => now++, onFailure: (cause) => failures.push(cause) })
  logs.push(log)
  return log
}
const reasons = async () => {
  const text = await readFile(path, 'utf8')
  expect(text === '' || text.endsWith('\n')).toBe(true)
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as { reason: string }).reason)
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

  test('a change is on the disk when it is answered, and so is all that came before it', async () => {
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
    await vi.waitFor(async () => expect(await reasons()).toEqual(['call']))
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
    await first.close()
    await (await openLog()).commit(entry('two'))
    expect(await reasons()).toEqual(['one', 'two'])
  })

  test.each([
    ['a line without its end', '{"reason":"one"}\n{"reas', ['one', 'new']],
    ['nothing but a torn line', '{"rea', ['new']],
    ['whole lines', '{"reason":"one"}\n', ['one', 'new']],
    ['nothing', '', ['new']],
  ])('a file that ends with %s is healed when it is opened', async (_, before, after) => {
    await writeFile(path, before)
    await (await openLog()).commit(entry('new'))
    expect(await reasons()).toEqual(after)
  })
})

describe('an audit file that cannot be written', () => {
  test('refuses calls and changes until it can, and says so once', async () => {
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
      await vi.waitUntil(() => failures.length === 1)
      expect(() => log.check()).toThrow(unavailable)
      vi.advanceTimersByTime(1_000)
    } finally {
      vi.useRealTimers()
    }
    await vi.waitFor(() => log.check())
    expect(await reasons()).toEqual(['one'])
  })

  test('RL-17: refuses calls when too many records wait, and beyond twice that counts what it cannot keep', async () => {
    const log = await openLog()
    const line = `"reason":"${'x'.repeat(1_048_576)}"`
    for (let at = 0; at < 8; at++) log.appendLine(line)
    expect(() => log.check()).toThrow(unavailable)
    for (let at = 0; at < 40; at++) log.appendLine(line)
    await log.commit(entry('after'))
    const found = await reasons()
    expect(found.slice(-2)).toEqual(['after', 'records-lost'])
    const lost = 48 - (found.length - 2)
    expect(lost).toBeGreaterThan(30)
    expect(JSON.parse((await readFile(path, 'utf8')).trimEnd().split('\n').at(-1)!)).toMatchObject({
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

test('a record that another process wrote behind a write that failed stands', async () => {
  const log = await openLog()
  const record = entry('ours')
  // The disk fills after one whole line and a half; before we try again, another process has room for its own.
  await fillDiskAfter(100_000)
  await expect(log.commit(record)).rejects.toThrow(unavailable)
  await appendFile(path, '{"timestamp":"2027-01-15T08:00:00.000Z","reason":"theirs"}\n')
  await log.commit(entry('later'))
  expect(await reasons()).toContain('theirs')
  expect(await reasons()).toContain('later')
})
