import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { linkModules } from '../transcript/project.ts'
import { killAll, start } from './one-server.ts'

/*
 * A client of the stateful revisions opens one session, and the server is killed under it again and again. After each kill
 * the client goes on with the stream that it was reading: it gets what it had not seen, and nothing twice.
 */

const kills = 10
const folder = mkdtempSync(join(tmpdir(), 'merlon-session-kill-'))

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
  killAll()
  rmSync(folder, { recursive: true, force: true })
})

interface Heard {
  readonly id: string
  /** The number that was counted; undefined for an event that carries nothing, and for an answer. */
  readonly progress: number | undefined
  readonly answer: { readonly id: unknown; readonly error: unknown } | undefined
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
        const message =
          data === undefined
            ? {}
            : (JSON.parse(data) as { id?: unknown; error?: unknown; params?: { progress?: number } })
        const { params, error } = message
        heard.push({
          id,
          progress: params?.progress,
          answer: error === undefined ? undefined : { id: message.id, error },
        })
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
  let server = await start(folder, /mrl_\w+\s/)
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
    server = await start(folder)
    const missed = await read(await send(undefined, { ...inSession, 'Last-Event-ID': seen.at(-1)?.id ?? '' }))
    const counted = [...seen, ...missed].flatMap(({ progress }) => progress ?? [])
    expect(counted).toEqual(counted.map((_, at) => at + 1))
    expect(new Set([...seen, ...missed].map(({ id }) => id)).size).toBe(seen.length + missed.length)
    // Nobody is left who could answer the call. The client is told, once, whenever it asks.
    const lost = { id: kill, error: { code: 50_201, message: expect.any(String), data: { code: 'CALL_LOST' } } }
    expect([...seen, ...missed].flatMap(({ answer }) => answer ?? [])).toEqual([lost])
    // For a moment whoever had it all counts as its reader, so that of two who come at once one is refused.
    const again = await vi.waitUntil(
      async () => {
        const answer = await send(undefined, { ...inSession, 'Last-Event-ID': seen.at(-1)?.id ?? '' })
        if (answer.status !== 409) return answer
        await answer.text()
        return undefined
      },
      { timeout: 20_000 },
    )
    expect(await read(again)).toEqual(missed)
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
