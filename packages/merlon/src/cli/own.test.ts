import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import type { CliContext } from './context.ts'
import { run } from './program.ts'
import { silentContext } from './silent-context.fixture.ts'

let server: Server | undefined
afterEach(() => server?.close())

/** A control plane that asks for a code, and notes what it was sent. */
async function controlPlane() {
  const bodies: Record<string, unknown>[] = []
  const opened = createServer(async (request, response) => {
    const body = (await json(request)) as Record<string, unknown>
    bodies.push(body)
    const well = body['code'] === '123456'
    const answer = well
      ? { accessToken: 'token', expiresAt: 'soon' }
      : { type: 'x', title: 'A code is needed.', status: 401, code: 'SECOND_FACTOR_REQUIRED' }
    response.writeHead(well ? 200 : 401, {
      'Content-Type': well ? 'application/json' : 'application/problem+json',
      Connection: 'close',
    })
    response.end(JSON.stringify(answer))
  })
  server = opened
  await new Promise<void>((ready) => opened.listen(0, '127.0.0.1', ready))
  return { url: `http://127.0.0.1:${(opened.address() as AddressInfo).port}`, bodies }
}

async function login(url: string, more: Partial<CliContext>, ...flags: string[]) {
  const told: string[] = []
  const tell = (text: string) => void told.push(text)
  const context = silentContext({ ...more, out: tell, say: tell })
  const exitCode = await run(['login', '--server', url, '--email', 'ann@example.com', ...flags], context)
  return { exitCode, told }
}

test('AD-06: who is told that a code is needed is asked for it, and only then', async () => {
  const { url, bodies } = await controlPlane()
  const asked: string[] = []
  const askSecret = async (question: string) => {
    asked.push(question)
    return asked.length === 1 ? 'a long sentence' : '123456'
  }
  const { exitCode, told } = await login(url, { interactive: true, askSecret })
  expect([exitCode, told[0]]).toEqual([0, 'token'])
  expect(asked).toEqual(['Password: ', 'Code of the second factor: '])
  const sent = { email: 'ann@example.com', password: 'a long sentence' }
  expect(bodies).toEqual([sent, { ...sent, code: '123456' }])
})

test('AD-06: where nobody is there, password and code are two lines, and a missing code is told', async () => {
  const { url, bodies } = await controlPlane()
  const both = await login(
    url,
    { readInput: async () => 'a long sentence\n123456\n' },
    '--password-stdin',
    '--code-stdin',
  )
  expect([both.exitCode, both.told[0]]).toEqual([0, 'token'])
  expect(bodies).toEqual([{ email: 'ann@example.com', password: 'a long sentence', code: '123456' }])
  const alone = await login(url, { readInput: async () => 'a long sentence\n' }, '--password-stdin')
  expect(alone.exitCode).toBe(1)
  expect(alone.told).toEqual([
    'merlon: a code is needed',
    'merlon: hint: give it with --code-stdin or --code-file, or run it where it can ask',
  ])
})
