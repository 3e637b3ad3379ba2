import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { DataKeys } from '../packages/merlon/src/sealing/data-keys.ts'
import { SqlDataKeyStore } from '../packages/merlon/src/store/sql/data-key-store.ts'
import { openDatabase, type SqlTarget } from '../packages/merlon/src/store/sql/database.ts'
import { SqlHistoryStore } from '../packages/merlon/src/store/sql/history-store.ts'
import { Connection } from './connection.ts'
import { canPin } from './machine.ts'
import { prepareMerlon } from './merlon-project.ts'
import { callBytes, initializeBytes, initializedBytes, resumeBytes, type Target } from './requests.ts'
import { header } from './response.ts'
import { ServerProcess } from './server-process.ts'
import { work } from './work-folder.ts'

/*
 * What many sessions cost: opened, kept in memory, found again by a server that starts over a store full of them; what a
 * resumed stream costs; and how many events a second are sealed and committed. The server is a process of its own on core
 * 1, over SQLite as it comes.
 */

const { values } = parseArgs({
  options: {
    sessions: { type: 'string', default: '100000' },
    resumes: { type: 'string', default: '2000' },
    postgres: { type: 'string' },
  },
})
const sessions = Number(values.sessions)
const resumes = Number(values.resumes)
/** A start that takes longer misses the target of the design. */
const readyMsMax = 1_000
const openers = 4

const say = (line: string) => console.log(line)
const micros = (used: NodeJS.CpuUsage) => used.user + used.system

const prepared = await prepareMerlon('sessions', {})
const command = { ...prepared, core: canPin() ? 1 : undefined, readyTimeoutMs: 60_000 }
const key = prepared.key!

/** Starts the server, and answers how long until it says that it is ready. */
async function start(): Promise<{ server: ServerProcess; readyMs: number }> {
  const began = performance.now()
  const server = await ServerProcess.start(command)
  const ready = await fetch(`http://127.0.0.1:${server.port}/ready`)
  if (ready.status !== 200) throw new Error(`/ready answers ${ready.status}`)
  return { server, readyMs: performance.now() - began }
}

const targetOf = ({ port }: ServerProcess, streaming = false): Target => ({
  ...{ port, path: '/mcp', revision: '2025-11-25', session: true, key },
  ...(streaming ? { tool: 'echo-progress', progress: true } : { tool: 'echo', progress: false }),
})

async function open(connection: Connection, target: Target): Promise<string> {
  const opened = await connection.ask(initializeBytes(target))
  const session = header(opened.head, 'mcp-session-id')
  if (session === undefined) throw new Error(`initialize is answered ${opened.status}: ${opened.body.toString()}`)
  return session
}

/** Opens sessions over a few connections at once; answers the last of them. */
async function openMany(target: Target, count: number): Promise<string> {
  let left = count
  let last = ''
  const opening = Array.from({ length: openers }, async () => {
    const connection = await Connection.open(target.port)
    while (left-- > 0) last = await open(connection, target)
    connection.close()
  })
  await Promise.all(opening)
  return last
}

async function measureSessions(): Promise<boolean> {
  const empty = await start()
  const target = targetOf(empty.server)
  // What a server makes once, it makes before it is weighed.
  await openMany(target, 1_000)
  const before = await empty.server.sample(true)
  const began = performance.now()
  const last = await openMany(target, sessions)
  const seconds = (performance.now() - began) / 1_000
  const after = await empty.server.sample(true)
  const each = (count: number) => `${(count / sessions).toFixed(0)} B`
  say(
    `${sessions} sessions opened, ${(sessions / seconds).toFixed(0)} a second, ${((after.cpuMicros - before.cpuMicros) / sessions).toFixed(0)} µs CPU each; idle they hold ${each(after.heapBytes - before.heapBytes)} of heap and ${each(after.residentBytes - before.residentBytes)} resident each`,
  )
  await empty.server.stop()
  const full = await start()
  const connection = await Connection.open(full.server.port)
  const again = await connection.ask(initializedBytes(targetOf(full.server), last))
  if (again.status !== 202) throw new Error(`a session of before is answered ${again.status}`)
  connection.close()
  await full.server.stop()
  say(
    `start to ready: ${empty.readyMs.toFixed(0)} ms over an empty store, ${full.readyMs.toFixed(0)} ms over ${sessions + 1_000} sessions (wanted at most ${readyMsMax} ms)`,
  )
  return full.readyMs <= readyMsMax
}

/** Calls that stream; then each of their streams is resumed from its first event. */
async function measureResumes(): Promise<void> {
  const { server } = await start()
  const target = targetOf(server, true)
  const connection = await Connection.open(server.port)
  const session = await open(connection, target)
  await connection.ask(initializedBytes(target, session))
  const places: string[] = []
  const call = callBytes(target, session, 'x'.repeat(32))
  for (let at = 0; at < 200; at++) {
    const { body } = await connection.ask(call.bytes)
    const first = /^id: (.+)$/m.exec(body.toString())?.[1]
    if (first === undefined) throw new Error(`no event id in ${body.toString()}`)
    places.push(first)
  }
  const resume = async (at: number) => {
    const { status, body } = await connection.ask(resumeBytes(target, session, places[at % places.length]!))
    if (status !== 200 || !body.includes('"result"')) throw new Error(`a resume is answered ${status}: ${body}`)
  }
  for (let at = 0; at < 2 * places.length; at++) await resume(at)
  const before = await server.sample()
  for (let at = 0; at < resumes; at++) await resume(at)
  const after = await server.sample()
  connection.close()
  await server.stop()
  say(
    `a resumed stream, of which two events were missed: ${((after.cpuMicros - before.cpuMicros) / resumes).toFixed(0)} µs CPU`,
  )
}

/** Events of 200 bytes, one after the other and from a hundred streams at once. */
async function measureEvents(name: string, target: SqlTarget): Promise<void> {
  const database = await openDatabase(target)
  const root = createSecretKey(randomBytes(32))
  const keys = new DataKeys({ store: new SqlDataKeyStore(database), root, random: randomBytes, clock: Date.now })
  const store = new SqlHistoryStore({
    ...{ database, keys, random: randomBytes },
    digest: (id) => createHmac('sha256', 'bench').update(id).digest(),
    bounds: { eventsMax: 1_000_000, historyMs: 3_600_000, bytesMax: 1_000_000_000 },
    onUnreadable: () => {
      throw new Error('an event does not open')
    },
  })
  const message = 'x'.repeat(200)
  const measure = async (streams: number, events: number) => {
    const run = (id: string, count: number) =>
      Promise.all(
        Array.from({ length: streams }, async (_, at) => {
          const owner = { id: `${id}-${at}`, tenant: 'default' }
          for (let event = 0; event < count / streams; event++) await store.append(owner, 1, message, Date.now())
        }),
      )
    await run('warm', events / 4)
    const began = performance.now()
    const cpu = process.cpuUsage()
    await run('measured', events)
    const used = micros(process.cpuUsage(cpu))
    return `${((1_000 * events) / (performance.now() - began)).toFixed(0)} a second, ${(used / events).toFixed(0)} µs CPU each`
  }
  say(`events sealed and committed in ${name}, one after the other: ${await measure(1, 4_000)}`)
  say(`events sealed and committed in ${name}, a hundred streams: ${await measure(100, 40_000)}`)
  await database.close()
}

const folder = mkdtempSync(join(tmpdir(), 'merlon-events-'))
try {
  await measureEvents('SQLite', { file: join(folder, 'events.db') })
  if (values.postgres !== undefined) await measureEvents('PostgreSQL', { databaseUrl: values.postgres })
  await measureResumes()
  process.exitCode = (await measureSessions()) ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
  rmSync(work, { recursive: true, force: true })
}
