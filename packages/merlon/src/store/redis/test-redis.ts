import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Redis } from 'ioredis'

export interface TestRedis {
  readonly url: string
  /** Stops it without a word, as a crash does. */
  kill(): Promise<void>
  /** Starts it again at the same address, empty. */
  restart(): Promise<void>
  /** It keeps its connections and answers nothing, until `thaw`. */
  freeze(): void
  thaw(): void
  close(): Promise<void>
}

/** Starts a Redis of its own, which keeps nothing on disk, but in `folder` where it is told to SAVE. Throws where the machine has no redis-server and none is skipped. */
export async function startRedis(folder?: string): Promise<TestRedis> {
  const program = ['redis-server', 'valkey-server'].find((name) => spawnSync(name, ['--version']).status === 0)
  if (program === undefined) throw new Error('neither redis-server nor valkey-server is installed')
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}`
  let child: ChildProcess | undefined
  const start = async () => {
    const dir = folder === undefined ? [] : ['--dir', folder]
    child = spawn(
      program,
      ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...dir],
      { stdio: 'ignore' },
    )
    await answers(url)
  }
  const kill = async () => {
    const dying = child
    child = undefined
    if (dying === undefined) return
    const gone = once(dying, 'exit')
    dying.kill('SIGKILL')
    await gone
  }
  const killNow = () => void child?.kill('SIGKILL')
  process.once('exit', killNow)
  await start()
  return {
    url,
    kill,
    restart: start,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async close() {
      process.off('exit', killNow)
      await kill()
    },
  }
}

/** A Redis for one test file: the one of TEST_REDIS_URL, else one of its own. Where there is none the reason is the answer; with REQUIRE_SERVICES=1 it throws. */
export async function testRedis(): Promise<Pick<TestRedis, 'url' | 'close'> | { readonly reason: string }> {
  const asked = process.env['TEST_REDIS_URL']
  if (asked !== undefined && asked !== '') return { url: asked, close: async () => undefined }
  try {
    return await startRedis()
  } catch (error) {
    if (process.env['REQUIRE_SERVICES'] === '1') throw error
    const reason = error instanceof Error ? error.message : String(error)
    console.warn(`the tests on Redis are skipped: ${reason}`)
    return { reason }
  }
}

/** Resolves when it answers. The connection is tried again by the client, not by us. */
async function answers(url: string): Promise<void> {
  const client = new Redis(url, { retryStrategy: () => 10, maxRetriesPerRequest: 1_000 })
  client.on('error', () => undefined)
  try {
    await client.ping()
  } finally {
    client.disconnect()
  }
}

async function freePort(): Promise<number> {
  const probe = createServer()
  probe.listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
