import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, expect, it, vi } from 'vitest'
import { httpControl } from '../../packages/merlon/src/admin/http-control.ts'
import { linkModules } from '../transcript/project.ts'
import { killAll, type Started, start } from './one-server.ts'

/*
 * Keys are changed while clients work, and the server is killed in the midst of it again and again. Whatever the moment,
 * sessions and histories open afterwards.
 */

const rotations = 20
const sessionsOpen = 30

const stepsTool = `import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'steps',
  description: 'Says how far it is.',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    for (let at = 1; at <= 3; at++) ctx.progress(at)
    return 'done'
  },
})
`

const firstKey = /(mrl_\w+)\s/

const folders: string[] = []
afterAll(() => {
  killAll()
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function project(): string {
  const folder = mkdtempSync(join(tmpdir(), 'merlon-rotation-'))
  folders.push(folder)
  mkdirSync(join(folder, 'src/tools'), { recursive: true })
  linkModules(folder)
  writeFileSync(join(folder, 'src/tools/steps.ts'), stepsTool)
  const rateLimit = { callsMax: 1_000_000, failuresMax: 1_000_000, rules: [] }
  writeFileSync(join(folder, 'merlon.config.json'), JSON.stringify({ rateLimit }))
  return folder
}

interface Finding {
  readonly id: string
  readonly purpose: string
  readonly state: string
  readonly records: number
  readonly unreadable: number
}

/** A server of this folder, and those who use it. */
function users(folder: string, key: string, at: () => Started) {
  const control = httpControl({ socket: join(folder, '.merlon/control.sock') })
  const send = (body: object, session?: string) =>
    fetch(at().url, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${key}`,
        Accept: 'application/json, text/event-stream',
        'Content-Type': 'application/json',
        ...(session === undefined ? {} : { 'Mcp-Session-Id': session, 'MCP-Protocol-Version': '2025-11-25' }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...body }),
    })
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } }
  return {
    call: async <T>(operation: string, input: object = {}) => (await control.call(operation, input)).body as T,
    async open(): Promise<string> {
      const opened = await send({ method: 'initialize', params })
      await opened.text()
      expect(opened.status).toBe(200)
      return opened.headers.get('mcp-session-id') ?? ''
    },
    /** Calls the tool in the session: its progress is kept as events. Answers the status. */
    async work(session: string): Promise<number> {
      const call = { name: 'steps', arguments: {}, _meta: { progressToken: 'p' } }
      const response = await send({ method: 'tools/call', params: call }, session)
      const text = await response.text()
      if (response.status === 200) expect(text).toContain('done')
      return response.status
    },
  }
}

type Users = ReturnType<typeof users>

/** Works in one session after another until it is stopped. What a kill breaks is no matter; what is answered is. */
function load({ work }: Users, sessions: readonly string[]) {
  let stopped = false
  const statuses = new Map<number, number>()
  const loop = (async () => {
    for (let at = 0; !stopped; at++) {
      const status = await work(sessions[at % sessions.length]!).catch(() => undefined)
      if (status === undefined) await wait(20)
      else statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  })()
  return {
    statuses,
    async stop() {
      stopped = true
      await loop
    },
  }
}

it(`CR-05: ${rotations} rotations under load, with the server killed in the midst, leave nothing unreadable (O-083)`, {
  timeout: 300_000,
}, async () => {
  const folder = project()
  let server = await start(folder, firstKey)
  const key = firstKey.exec(server.said)?.[1] ?? ''
  const all = users(folder, key, () => server)
  const sessions: string[] = []
  for (let at = 0; at < sessionsOpen; at++) sessions.push(await all.open())
  const working = load(all, sessions)
  let kills = 0
  let whole = 0
  for (let round = 0; round < rotations; round++) {
    const rotated = all.call<{ replaced: number }>('encryption-keys.rotate', { body: {} }).then(
      ({ replaced }) => {
        whole++
        expect(replaced).toBe(2)
      },
      (cause: unknown) => {
        // Killed under it.
        expect(round % 4).toBe(1)
        expect(cause).toMatchObject({ name: 'ControlUnreachable' })
      },
    )
    if (round % 4 === 1) {
      // Each time at another moment: while keys are replaced, or while records are sealed anew.
      await wait(round * 2)
      await server.kill()
      kills++
      await rotated
      server = await start(folder)
    } else await rotated
  }
  await working.stop()
  expect([...working.statuses.keys()]).toEqual([200])

  const latest = await all.open()
  for (const session of [...sessions, latest]) expect(await all.work(session)).toBe(200)
  const verify = () => all.call<{ ok: boolean; items: readonly Finding[] }>('encryption-keys.verify')
  // What the kills left behind is sealed anew by whoever starts next.
  const verdict = await vi.waitFor(
    async () => {
      const found = await verify()
      expect(found.items.filter(({ state, records }) => state === 'replaced' && records > 0)).toEqual([])
      return found
    },
    { timeout: 60_000, interval: 250 },
  )
  expect(verdict.ok).toBe(true)
  expect(verdict.items.reduce((sum, { unreadable }) => sum + unreadable, 0)).toBe(0)
  const sealing = verdict.items.find(({ purpose, state }) => purpose === 'session' && state === 'sealing')
  expect(sealing?.records).toBe(sessionsOpen + 1)

  // Nothing needs the first ones any more; the last ones may still be on their way into a record.
  const replaced = verdict.items.filter(({ state }) => state === 'replaced')
  expect(replaced.length).toBeGreaterThanOrEqual(2 * whole)
  await vi.waitFor(
    async () => {
      const { lost } = await all.call<{ lost: object }>('encryption-keys.retire', { params: { id: replaced[0]!.id } })
      expect(lost).toEqual({})
    },
    { timeout: 30_000, interval: 500 },
  )
  expect(await all.work(sessions[0]!)).toBe(200)

  // A key that may have become known: what it sealed is gone, and clients begin again.
  await all.call('encryption-keys.destroy', { params: { id: sealing!.id }, body: { force: true } })
  expect(await all.work(sessions[0]!)).toBe(404)
  expect(await all.work(await all.open())).toBe(200)
  expect((await verify()).ok).toBe(true)
  await server.kill()
  const records = verdict.items.reduce((sum, finding) => sum + finding.records, 0)
  const answered = [...working.statuses.values()].reduce((sum, count) => sum + count, 0)
  console.info(
    `${rotations} rotations, ${kills} of them killed, beside ${answered} calls: ${records} records, 0 unreadable`,
  )
})

it('CR-05, CR-12: the root key is changed under load, killed in the midst; then it opens with the next alone', {
  timeout: 300_000,
}, async () => {
  const folder = project()
  let server = await start(folder, firstKey)
  const key = firstKey.exec(server.said)?.[1] ?? ''
  const all = users(folder, key, () => server)
  const sessions = [await all.open(), await all.open()]
  const inFolder = (name: string) => join(folder, '.merlon', name)
  const before = join(folder, 'old.key')
  copyFileSync(inFolder('root.key'), before)
  const working = load(all, sessions)
  // From before the first step until after the last.
  for (let kill = 0; kill < 4; kill++) {
    const changing = all.call('encryption-keys.rewrap', { body: { make: true } }).catch((cause: unknown) => {
      expect(cause).toMatchObject({ name: 'ControlUnreachable' })
    })
    await wait(kill * 15)
    await server.kill()
    await changing
    server = await start(folder)
    expect(await all.work(sessions[0]!)).toBe(200)
  }
  await all.call('encryption-keys.rewrap', { body: { make: true } })
  await working.stop()
  expect([...working.statuses.keys()]).toEqual([200])
  const roots = new Set(
    (await all.call<{ items: { wrappedBy?: string }[] }>('encryption-keys.list')).items.flatMap(
      ({ wrappedBy }) => wrappedBy ?? [],
    ),
  )
  expect(roots.size).toBe(1)
  expect((await all.call<{ ok: boolean }>('encryption-keys.verify')).ok).toBe(true)
  expect((await all.call<{ ok: boolean }>('audit.verify', { body: {} })).ok).toBe(true)
  await server.kill()

  expect(existsSync(inFolder('root.key.next'))).toBe(false)
  const after = readFileSync(inFolder('root.key'), 'utf8')
  expect(after).not.toBe(readFileSync(before, 'utf8'))
  server = await start(folder)
  for (const session of sessions) expect(await all.work(session)).toBe(200)
  await server.kill()

  // The one before is of no use, and nothing is begun afresh over it.
  copyFileSync(before, inFolder('root.key'))
  await expect(start(folder)).rejects.toThrow('the root key is not the one that this store was made with')
  expect(readFileSync(inFolder('root.key'), 'utf8')).toBe(readFileSync(before, 'utf8'))
  writeFileSync(inFolder('root.key'), after)
  server = await start(folder)
  expect(await all.work(sessions[1]!)).toBe(200)
  await server.kill()
})
