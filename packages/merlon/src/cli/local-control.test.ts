import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Control } from '../admin/control.ts'
import { openServer } from '../app.ts'
import { silentContext } from './silent-context.fixture.ts'
import { openControl } from './which-control.ts'

let project = ''
const open: { close(): Promise<void> }[] = []

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'merlon-local-'))
  mkdirSync(join(project, 'src/tools'), { recursive: true })
  writeFileSync(join(project, 'merlon.config.json'), '{ "server": { "port": 0 }, "log": { "level": "silent" } }')
})
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
  rmSync(project, { recursive: true, force: true })
})

async function asked(): Promise<{ readonly control: Control; readonly serving: boolean }> {
  const asking = await openControl(silentContext({ cwd: project }), {})
  open.push(asking.control)
  return asking
}

const lines = () => readFileSync(join(project, '.merlon/audit.jsonl'), 'utf8').trimEnd().split('\n')

test('without a server a command is the control plane itself, and the next one finds the data folder free', async () => {
  const first = await asked()
  expect(first.serving).toBe(false)
  await first.control.call('users.create', { body: { name: 'ann' } })
  await open.pop()?.close()
  const second = await asked()
  const { body } = await second.control.call('users.list', { query: { name: 'ann' } })
  expect(body).toMatchObject({ items: [{ name: 'ann', tenant: 'default' }] })
})

test('while a command has the data folder no server takes it, and the command after it waits', async () => {
  const first = await asked()
  await expect(openServer({ project, env: {} })).rejects.toThrow('another server serves from')
  const second = asked()
  await first.control.call('users.create', { body: { name: 'ann' } })
  await open.pop()?.close()
  const { body } = await (await second).control.call('users.list', { query: { name: 'ann' } })
  expect(body).toMatchObject({ items: [{ name: 'ann' }] })
})

test('beside a server a command asks it, so that one process writes the log, each record after the one before', async () => {
  const server = await openServer({ project, env: {} })
  open.push(server)
  const { control, serving } = await asked()
  expect(serving).toBe(true)
  await control.call('users.create', { body: { name: 'ann' } })
  await control.close()
  await server.close()
  open.length = 0
  const records = lines().map((line) => JSON.parse(line) as { seq: number; action?: string; by?: string })
  expect(records.map(({ seq }) => seq)).toEqual(records.map((_, at) => at))
  expect(records.filter(({ action }) => action === 'user.create').map(({ by }) => by)).toEqual([
    'local-operator',
    'local-operator',
  ])
})

test('a refused request in this process is on record, and a refusal is what a socket would answer', async () => {
  const { control } = await asked()
  await expect(control.call('users.get', { params: { id: 'usr_9' } })).rejects.toMatchObject({
    problem: { status: 404, code: 'ENTRY_NOT_FOUND' },
  })
  await open.pop()?.close()
  expect(lines().map((line) => JSON.parse(line))).toContainEqual(
    expect.objectContaining({ method: 'users.get', success: false, code: 'ENTRY_NOT_FOUND', target: 'usr_9' }),
  )
})

test('without a server a command sees and ends the sessions that one left open, and revoking a key ends its own', async () => {
  const server = await openServer({ project, env: {} })
  open.push(server)
  const keys = [server.firstStart?.key ?? '']
  const made = await (await asked()).control.call('api-keys.create', {
    body: { name: 'other', scopes: ['read'], user: 'operator' },
  })
  const other = made.body as { id: string; key: string }
  keys.push(other.key, other.key)
  await open.pop()?.close()
  const hello = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } }
  for (const key of keys) {
    const { status } = await fetch(server.url, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${key}`,
        Accept: 'application/json, text/event-stream',
        'Content-Type': 'application/json',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: hello }),
    })
    expect(status).toBe(200)
  }
  await open.pop()?.close()

  const { control, serving } = await asked()
  expect(serving).toBe(false)
  const listed = async (query = {}) => {
    const { body } = await control.call('sessions.list', { query })
    return (body as { items: { id: string; credential: string; principal: string }[] }).items
  }
  const all = await listed()
  expect(all).toHaveLength(3)
  expect((await listed({ credential: other.id })).map(({ credential }) => credential)).toEqual([other.id, other.id])
  expect(await listed({ principal: all[0]!.principal })).toHaveLength(3)
  expect(await listed({ principal: 'usr_nobody' })).toEqual([])
  const first = all.find(({ credential }) => credential !== other.id)!
  expect((await control.call('sessions.get', { params: { id: first.id } })).body).toMatchObject({
    client: { name: 'c' },
  })
  await control.call('sessions.end', { params: { id: first.id } })
  expect(await listed()).toHaveLength(2)
  await control.call('api-keys.revoke', { params: { id: other.id } })
  expect(await listed()).toEqual([])
})
