import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { headSigner, type SignedHead } from './head.ts'
import { headExport, headsToAddress, headsToFile } from './head-export.ts'
import { lineSink } from './line-sink.ts'

const signer = headSigner(generateKeyPairSync('ed25519').privateKey)
const head = (size: number) => signer.sign('f'.repeat(32), size, 'A'.repeat(43), 1_800_000_000_000)

describe('the export of heads', () => {
  test('sends what it could not send with the next, in its order, and says once that it fails', async () => {
    const sent: number[] = []
    const failures: unknown[] = []
    let works = false
    const send = async (heads: readonly SignedHead[]) => {
      if (!works) throw new Error('unreachable')
      sent.push(...heads.map(({ size }) => size))
    }
    const exporting = headExport({ send, onFailure: (cause) => failures.push(cause) })
    for (const size of [1, 2, 3]) {
      exporting.take(head(size))
      await exporting.close()
    }
    expect(failures).toHaveLength(1)
    works = true
    exporting.take(head(4))
    await exporting.close()
    expect(sent).toEqual([1, 2, 3, 4])
  })

  test('keeps a bounded number, the newest', async () => {
    const sent: number[] = []
    let works = false
    const send = async (heads: readonly SignedHead[]) => {
      if (!works) throw new Error('unreachable')
      sent.push(...heads.map(({ size }) => size))
    }
    const exporting = headExport({ send, onFailure: () => undefined })
    for (let size = 0; size < 1_500; size++) exporting.take(head(size))
    await exporting.close()
    works = true
    await exporting.close()
    expect(sent).toHaveLength(1_000)
    expect(sent.at(-1)).toBe(1_499)
  })

  test('to a file appends a line for each', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'merlon-heads-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const path = join(folder, 'heads.jsonl')
    await headsToFile(path)([head(1)])
    await headsToFile(path)([head(2), head(3)])
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).size)).toEqual([1, 2, 3])
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  test('to an address sends the head alone, and follows no redirect', async () => {
    const got: { body: string; headers: object }[] = []
    let status = 204
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      got.push({ body, headers: request.headers })
      response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end()
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    onTestFinished(() => void server.close())
    const send = headsToAddress(`http://127.0.0.1:${(server.address() as AddressInfo).port}/heads`)
    await send([head(7)])
    expect(JSON.parse(got[0]!.body)).toEqual(head(7))
    expect(got[0]!.headers).toMatchObject({ 'content-type': 'application/json' })
    expect(got[0]!.headers).not.toHaveProperty('authorization')
    for (status of [302, 500, 401]) await expect(send([head(8)])).rejects.toThrow()
    expect(got).toHaveLength(4)
  })
})

describe('lines for a collector', () => {
  test('a reader that is slow misses lines, and how many is told when it reads again', () => {
    const held: (() => void)[] = []
    const missed: number[] = []
    const stream = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => void held.push(done) })
    const sink = lineSink(stream, (lines) => missed.push(lines))
    sink(`${'x'.repeat(9 * 1_048_576)}\n`)
    sink('a\nb\n')
    sink('c\n')
    expect(missed).toEqual([])
    held.shift()!()
    sink('d\n')
    expect(missed).toEqual([3])
    expect(stream.writableLength).toBe(2)
  })

  test('a reader that is gone is no failure', async () => {
    const stream = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) })
    const sink = lineSink(stream, () => expect.unreachable())
    sink('a\n')
    await new Promise((closed) => stream.once('close', closed))
    sink('b\n')
  })
})
