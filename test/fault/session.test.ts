import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, expect, it } from 'vitest'
import { linkModules } from '../transcript/project.ts'

/*
 * A client of the stateful revisions opens one session, and the server is killed under it again and again. After each kill
 * the client goes on with the stream that it was reading: it gets what it had not seen, and nothing twice.
 */

const kills = 10
const main = join(import.meta.dirname, '../../packages/merlon/bin/merlon.cjs')
const folder = mkdtempSync(join(tmpdir(), 'merlon-session-kill-'))
const running: ChildProcess[] = []

/** Counts aloud until it is cancelled. What it says is canary enough to be looked for in the files. */
const countTool = `import { setImmediate as turn } from 'node:timers/promises'
import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'count',
  description: 'Counts until it is cancelled.',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    for (let at = 1; !ctx.signal.aborted; at++) {
      ctx.progress(at, undefined, 'canary-5b1e')
      await turn()
    }
    return 'done'
  },
})
`

afterAll(() => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

interface Started {
  readonly url: string
  /** What it printed until it served. */
  readonly said: string
  kill(): Promise<void>
}

/** Starts the server, and waits until it has printed this. */
async function start(until: RegExp): Promise<Started> {
  const child = spawn(process.execPath, [main, 'start'], {
    cwd: folder,
    env: { PATH: process.env['PATH'], MERLON_SERVER_PORT: '0', MERLON_LOG_LEVEL: 'error' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  running.push(child)
  let said = ''
  for await (const line of createInterface({ input: child.stdout })) {
    said += `${line}\n`
    if (!until.test(said)) continue
    return {
      url: /http:\S+\/mcp/.exec(said)?.[0] ?? '',
      said,
      async kill() {
        const ended = once(child, 'exit')
        child.kill('SIGKILL')
        await ended
      },
    }
  }
  throw new Error(`the server did not start: ${said}`)
}

interface Heard {
  readonly id: string
  /** The number that was counted; undefined for an event that carries nothing. */
  readonly progress: number | undefined
}

/** Reads events until there are so many, or the stream ends or breaks. What has arrived whole counts. */
async function read(response: Response, most = Number.POSITIVE_INFINITY): Promise<Heard[]> {
  expect(response.status).toBe(200)
  const heard: Heard[] = []
  let text = ''
  const decoder = new TextDecoder()
  try {
    for await (const bytes of response.body!) {
      text += decoder.decode(bytes as Uint8Array, { stream: true })
      const events = text.split('\n\n')
      text = events.pop() ?? ''
      for (const event of events) {
        const id = /^id: ?(\S+)$/m.exec(event)?.[1]
        const data = /^data: ?(\{.*)$/m.exec(event)?.[1]
        if (id === undefined) continue
        const message = data === undefined ? undefined : (JSON.parse(data) as { params?: { progress?: number } })
        heard.push({ id, progress: message?.params?.progress })
      }
      if (heard.length >= most) return heard
    }
  } catch {
    // The server was killed.
  }
  return heard
}

it(`EV-07: loses no event and repeats none through ${kills} kills of the server, in one session`, {
  timeout: 120_000,
}, async () => {
  mkdirSync(join(folder, 'src/tools'), { recursive: true })
  linkModules(folder)
  writeFileSync(join(folder, 'src/tools/count.ts'), countTool)
  writeFileSync(join(folder, 'merlon.config.json'), JSON.stringify({ resumability: { eventsMax: 100_000 } }))
  let server = await start(/mrl_\w+/)
  const key = /mrl_\w+/.exec(server.said)?.[0] ?? ''
  const send = (body: object | undefined, headers: Record<string, string> = {}) =>
    fetch(server.url, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        Authorization: `Bearer ${key}`,
        Accept: body === undefined ? 'text/event-stream' : 'application/json, text/event-stream',
        'Content-Type': 'application/json',
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const opened = await send({
    jsonrpc: '2.0',
    id: 'open',
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'canary-5b1e', version: '1' } },
  })
  const session = opened.headers.get('mcp-session-id') ?? ''
  expect(session).toMatch(/^\S{43}$/)
  const inSession = { 'Mcp-Session-Id': session, 'MCP-Protocol-Version': '2025-11-25' }

  let resumed = 0
  let total = 0
  for (let kill = 0; kill < kills; kill++) {
    const params = { name: 'count', arguments: {}, _meta: { progressToken: `p${kill}` } }
    const response = await send({ jsonrpc: '2.0', id: kill, method: 'tools/call', params }, inSession)
    // What the client takes, and what the server has written by the time it is killed, differ each time.
    const seen = await read(response, 20 + ((kill * 37) % 150))
    await server.kill()
    server = await start(/serves/)
    const missed = await read(await send(undefined, { ...inSession, 'Last-Event-ID': seen.at(-1)?.id ?? '' }))
    const counted = [...seen, ...missed].flatMap(({ progress }) => progress ?? [])
    expect(counted).toEqual(counted.map((_, at) => at + 1))
    expect(new Set([...seen, ...missed].map(({ id }) => id)).size).toBe(seen.length + missed.length)
    resumed += missed.length
    total += counted.length
  }
  expect(resumed).toBeGreaterThan(0)

  const ping = await send({ jsonrpc: '2.0', id: 'after', method: 'ping' }, inSession)
  expect([ping.status, await ping.json()]).toEqual([200, { jsonrpc: '2.0', id: 'after', result: {} }])
  await server.kill()
  for (const name of readdirSync(join(folder, '.merlon')).filter((each) => each.startsWith('merlon.db'))) {
    const bytes = readFileSync(join(folder, '.merlon', name))
    for (const planted of ['canary-5b1e', session]) expect(bytes.includes(planted), `${planted} in ${name}`).toBe(false)
  }
  console.info(`${kills} kills in one session: ${total} events, ${resumed} of them after a restart, 0 lost, 0 twice`)
})
