import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AuditEntry } from './audit-log.ts'
import type { AuditQuery, AuditReach, AuditRecord } from './audit-reader.ts'
import { FileAuditLog } from './file-log.ts'
import { FileAuditReader } from './file-reader.ts'
import { headSigner } from './head.ts'

const signer = headSigner(generateKeyPairSync('ed25519').privateKey)
const everyTenant = { everyTenant: true } as const
let folder: string
let log: FileAuditLog
let reader: FileAuditReader
let now: number

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'merlon-audit-'))
  now = Date.UTC(2026, 6, 28)
  log = await FileAuditLog.open(join(folder, 'audit.jsonl'), {
    signer,
    flushMs: 3_600_000,
    headMs: 3_600_000,
    segmentBytes: 4_000,
    segmentMs: 2_147_483_647,
    onTamper: 'continue',
    lockWaitMs: 0,
    clock: () => now,
    onFailure: (cause) => expect.unreachable(String(cause)),
  })
  reader = new FileAuditReader(log.files, log, signer.publicKey)
})

afterEach(async () => {
  await log.close().catch(() => undefined)
  await rm(folder, { recursive: true })
})

const call = (requestId: string, more: Partial<AuditEntry> = {}): AuditEntry => ({
  type: 'tool_access',
  success: true,
  level: 'info',
  tenant: 'a',
  requestId,
  ...more,
})
/** Each on its own, so that files are closed between them. */
const write = async (...entries: readonly AuditEntry[]) => {
  for (const entry of entries) await log.commit(entry)
}
const ids = (records: readonly AuditRecord[]) => records.map(({ requestId }) => requestId)
const find = async (query: Partial<AuditQuery>) =>
  ids((await reader.query({ reach: everyTenant, limit: 1_000, ...query })).records)
const numbered = (count: number) => Array.from({ length: count }, (_, at) => `r${at}`)
const collect = async <T>(given: AsyncIterable<T>) => {
  const all: T[] = []
  for await (const one of given) all.push(one)
  return all
}

describe('a query', () => {
  test('answers with the newest first, over all files, and with what was recorded a moment ago', async () => {
    await write(...numbered(60).map((id) => call(id)))
    log.append(call('last'))
    expect((await log.files.listClosed()).length).toBeGreaterThan(1)
    expect(await find({ type: 'tool_access' })).toEqual([...numbered(60), 'last'].reverse())
  })

  test.each([1, 7, 60, 61, 1_000])('of pages of %i neither skips nor repeats, while more is written', async (limit) => {
    await write(...numbered(60).map((id) => call(id)))
    const found: unknown[] = []
    let after: string | undefined
    do {
      const page = await reader.query({ reach: { tenant: 'a' }, limit, after })
      expect(page.records.length).toBeLessThanOrEqual(limit)
      found.push(...ids(page.records))
      after = page.next
      await write(call('later'))
    } while (after !== undefined)
    expect(found).toEqual(numbered(60).reverse())
  })

  test('AL-06, AU-04: shows a tenant its own records and none that belong to nobody', async () => {
    await write(call('a1'), call('b1', { tenant: 'b' }), call('none', { tenant: undefined }), call('a2'))
    expect(await find({ reach: { tenant: 'a' } })).toEqual(['a2', 'a1'])
    expect(await find({ reach: { tenant: 'b' } })).toEqual(['b1'])
    expect(await find({ type: 'tool_access' })).toEqual(['a2', 'none', 'b1', 'a1'])
  })

  test.each(['*', '%', '_', '', 'a%', "a' or '1'='1", 'a","tenant":"b', '__proto__', 'toString', '.*'])(
    'AL-06: takes the tenant %j for a name and nothing else',
    async (tenant) => {
      await write(call('a1'), call('b1', { tenant: 'b' }), call('said', { reason: '"tenant":"*"', detail: { tenant } }))
      expect(await find({ reach: { tenant } })).toEqual([])
    },
  )

  test('without a reach is a mistake of ours, and answers nothing', async () => {
    await write(call('a1'))
    await expect(reader.query({ reach: {} as AuditReach, limit: 1 })).rejects.toThrow('no reach was named')
    await expect(reader.query({ reach: { everyTenant: undefined } as never, limit: 1 })).rejects.toThrow('no reach')
  })

  test('finds by each member that it can be asked for, and by all together', async () => {
    const full = call('full', {
      type: 'key',
      level: 'warn',
      success: false,
      clientId: 'key_1',
      principal: 'usr_1',
      key: 'key_2',
      action: 'key.revoke',
      by: 'usr_3',
      target: 'usr_4',
      method: 'tools/call',
      tool: 'echo',
      code: 'NOT_FOUND',
      ip: '::1',
    })
    await write(call('other'), full, call('another'))
    const asked = {
      type: 'key',
      level: 'warn',
      success: false,
      requestId: 'full',
      clientId: 'key_1',
      principal: 'usr_1',
      key: 'key_2',
      action: 'key.revoke',
      by: 'usr_3',
      target: 'usr_4',
      method: 'tools/call',
      tool: 'echo',
      code: 'NOT_FOUND',
      ip: '::1',
    } as const
    for (const [name, value] of Object.entries(asked)) expect(await find({ [name]: value }), name).toEqual(['full'])
    expect(await find(asked)).toEqual(['full'])
    expect(await find({ ...asked, tool: 'status' })).toEqual([])
  })

  test('finds by time: from is in, to is out', async () => {
    for (const id of ['early', 'on', 'late']) {
      await write(call(id))
      now += 1_000
    }
    const from = Date.UTC(2026, 6, 28) + 1_000
    expect(await find({ type: 'tool_access', from })).toEqual(['late', 'on'])
    expect(await find({ type: 'tool_access', to: from })).toEqual(['early'])
    expect(await find({ type: 'tool_access', from, to: from + 1 })).toEqual(['on'])
  })

  test.each([0, 1_001, 1.5, Number.NaN, -1])('refuses a limit of %d', async (limit) => {
    await expect(reader.query({ reach: everyTenant, limit })).rejects.toMatchObject({ code: 'params.invalid' })
  })

  test.each(['', 'x', '1', '1.', '-1.0', '1.2.3', '1e3.0', '99999999999999.0'])(
    'refuses the mark %j',
    async (after) => {
      await expect(reader.query({ reach: everyTenant, limit: 1, after })).rejects.toMatchObject({
        code: 'cursor.invalid',
      })
    },
  )

  test('with a mark from nowhere shows nothing beyond its reach', async () => {
    await write(...numbered(40).map((id) => call(id)), call('b', { tenant: 'b' }))
    for (const after of ['0.1', '0.77', '99.5', '1.999999'])
      for (const id of ids((await reader.query({ reach: { tenant: 'a' }, limit: 9, after })).records))
        expect(id).toMatch(/^r/)
  })

  test('reads a bounded part of the log for one page, and says where to go on', async () => {
    const line = `"level":"info","type":"server","success":true,"reason":"${'x'.repeat(1_048_576)}"`
    await write(call('first'))
    for (let at = 0; at < 20; at++) {
      log.appendLine(line)
      await log.written()
    }
    const pages = []
    let after: string | undefined
    do {
      const page = await reader.query({ reach: { tenant: 'a' }, limit: 10, after })
      pages.push(ids(page.records))
      after = page.next
    } while (after !== undefined)
    expect(pages.length).toBeGreaterThan(2)
    expect(pages.flat()).toEqual(['first'])
    expect(pages.at(-1)).toEqual(['first'])
  })
})

describe('an export', () => {
  test('is the lines as they stand, oldest first', async () => {
    await write(...numbered(60).map((id) => call(id)), call('b', { tenant: 'b' }))
    const text = (await collect(reader.export({ reach: { tenant: 'a' } }, 'jsonl'))).join('')
    const lines = text.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).requestId)).toEqual(numbered(60))
    expect(lines[0]).toMatch(/^\{"seq":1,"prev":"[\w-]{43}","timestamp":"2026-07-28T00:00:00.000Z",/)
  })

  test('AD-09: as CSV has a head, a line for each record, and nothing that a spreadsheet calculates', async () => {
    await write(
      call('=HYPERLINK("http://evil.example")', { tool: '@SUM(A1)', reason: '+1', target: '-1', principal: '\t=1' }),
      call('plain', { detail: { name: 'a "quoted" name' }, durationMs: -5 }),
    )
    const lines = (await collect(reader.export({ reach: { tenant: 'a' } }, 'csv'))).join('').split('\r\n')
    expect(lines).toEqual([
      'seq,timestamp,level,type,success,tenant,principal,clientId,ip,requestId,method,tool,target,scope,code,reason,action,by,key,outcome,durationMs,detail',
      `1,"2026-07-28T00:00:00.000Z","info","tool_access",true,"a","\\u0009=1",,,"'=HYPERLINK(""http://evil.example"")",,"'@SUM(A1)","'-1",,,"'+1",,,,,,`,
      `2,"2026-07-28T00:00:00.000Z","info","tool_access",true,"a",,,,"plain",,,,,,,,,,,-5,"{""name"":""a \\""quoted\\"" name""}"`,
      '',
    ])
  })
})

describe('a tail', () => {
  test('shows what is recorded from now on, over the end of files, and ends when it is told', async () => {
    await write(call('before'))
    const stop = new AbortController()
    const seen: unknown[] = []
    const tail = reader.tail({ reach: { tenant: 'a' } }, stop.signal)[Symbol.asyncIterator]()
    // It follows once it shows one of these.
    const shown = tail.next()
    let follows = false
    void shown.then(() => {
      follows = true
    })
    while (!follows) await write(call('mark'))
    await write(...numbered(60).map((id) => call(id)), call('b', { tenant: 'b' }), call('end'))
    for (let id = (await shown).value.requestId; id !== 'end'; id = (await tail.next()).value.requestId)
      if (id !== 'mark') seen.push(id)
    expect(seen).toEqual(numbered(60))
    const last = tail.next()
    stop.abort()
    expect(await last).toMatchObject({ done: true })
  })
})

describe('heads and verification', () => {
  test('the newest head is told, and what is there is sound', async () => {
    expect(await reader.head()).toMatchObject({ size: 1, keyId: signer.keyId })
    await write(call('one'))
    expect(await reader.head()).toMatchObject({ size: 3, keyId: signer.keyId })
    expect(await reader.head()).toMatchObject({ size: 3 })
    await write(...numbered(60).map((id) => call(id)))
    expect(await reader.verify()).toMatchObject({ ok: true, problems: [], logs: [{ first: 0 }] })
    expect(reader.publicKey).toMatch(/^-----BEGIN PUBLIC KEY-----/)
  })

  test('AL-02: a log that was begun a moment ago is signed when it is verified', async () => {
    await write(call('one'))
    expect(await reader.verify()).toMatchObject({ ok: true, records: 3, logs: [{ size: 3, signed: 3 }] })
  })

  test('verifies while records are written and files are due to be closed', async () => {
    await write(...numbered(30).map((id) => call(id)))
    const verifying = reader.verify()
    const writing = write(...numbered(60).map((id) => call(id)))
    expect(await verifying).toMatchObject({ ok: true })
    await writing
    expect(await reader.verify()).toMatchObject({ ok: true })
  })

  test('AL-02: a head that was kept is held against the log', async () => {
    await write(call('one'))
    await log.signHead()
    const kept = (await reader.head())!
    expect(await reader.verify([kept])).toMatchObject({ ok: true })
    const beyond = signer.sign(kept.log, 1_000, kept.root, now)
    expect(await reader.verify([beyond])).toMatchObject({ ok: false, problems: [{ kind: 'truncated', seq: 3 }] })
  })
})
