import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { foreignToNobody, helloTool, linkModules } from './project.ts'

const bin = join(import.meta.dirname, '../../packages/merlon/bin/merlon.cjs')

/** A `merlon` that runs, with what it has printed so far. */
interface Running {
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  /** Waits until stdout holds the text. */
  printed(text: string): Promise<void>
  exited(): Promise<number | null>
}

let project = ''
const running: ChildProcess[] = []

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'merlon-start-'))
  mkdirSync(join(project, 'src/tools'), { recursive: true })
  writeFileSync(join(project, 'src/tools/hello.ts'), helloTool)
  writeFileSync(join(project, 'merlon.config.json'), JSON.stringify({ name: 'greeter', server: { port: 0 } }))
  linkModules(project)
})

afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  rmSync(project, { recursive: true, force: true })
})

function start(command = 'start', env: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, [bin, command], {
    cwd: project,
    env: { PATH: '/usr/bin:/bin', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]!.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text
    })
  }
  const gone = once(child, 'close').then(([code]) => code as number | null)
  return {
    child,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    async printed(text) {
      while (!said.stdout.includes(text)) {
        const ended = await Promise.race([once(child.stdout!, 'data').then(() => false), gone.then(() => true)])
        if (ended && !said.stdout.includes(text)) throw new Error(`it ended without saying ${text}: ${said.stderr}`)
      }
    },
    exited: () => gone,
  }
}

/** Runs a shell line as printed, and answers what it printed. */
async function shell(line: string): Promise<string> {
  const child = spawn('sh', ['-c', line], { stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  await once(child, 'close')
  return text
}

describe('merlon start', () => {
  test('the first start shows a key once, and all that it prints works as printed', async () => {
    const first = start()
    await first.printed('Make one that lasts')
    const printed = first.stdout()
    expect(printed).toMatch(
      /^Merlon serves http:\/\/127\.0\.0\.1:\d+\/mcp\nControl plane: http:\/\/127\.0\.0\.1:\d+\n\nThe first start made a key\. /,
    )

    const curl = /^curl [\s\S]*?\}'$/m.exec(printed)![0]
    expect(await shell(curl)).toContain('"name":"hello"')

    const settings: { mcpServers: { greeter: { type: string; url: string; headers: Record<string, string> } } } =
      JSON.parse(/^\{\n[\s\S]*?^\}$/m.exec(printed)![0])
    const { type, url, headers } = settings.mcpServers.greeter
    expect(type).toBe('http')
    const answer = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
      }),
    })
    expect(answer.status).toBe(200)
    await answer.text()

    first.child.kill('SIGTERM')
    expect(await first.exited()).toBe(0)
    expect(first.stderr()).toContain('merlon: finishing what is under way; a second signal stops at once\n')

    const key = /mrl_\w+/.exec(printed)![0]
    for (const file of ['merlon.db', 'merlon.db-wal', 'audit.jsonl']) {
      expect(readIfThere(join(project, '.merlon', file))).not.toContain(key)
    }

    const second = start()
    await second.printed('/mcp\n')
    second.child.kill('SIGINT')
    expect(await second.exited()).toBe(0)
    expect(second.stdout()).toMatch(
      /^Merlon serves http:\/\/127\.0\.0\.1:\d+\/mcp\nControl plane: http:\/\/127\.0\.0\.1:\d+\n$/,
    )
  })

  test('after a key was made by hand the first start shows none', async () => {
    const made = start('generate-keys')
    expect(await made.exited()).toBe(0)
    expect(made.stdout()).toMatch(/^mrl_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\n$/)
    const { child, stdout, printed, exited } = start()
    await printed('/mcp\n')
    child.kill('SIGTERM')
    expect(await exited()).toBe(0)
    expect(stdout()).not.toContain('mrl_')
  })

  describe('with a dynemcp.config.json', () => {
    const initialize = (url: string, headers: Record<string, string>) =>
      fetch(url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream', ...headers },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'initialize',
          params: {
            protocolVersion: '2024-11-05',
            capabilities: {},
            clientInfo: { name: 'secure-client', version: '1.0.0' },
          },
        }),
      })

    beforeEach(() => {
      rmSync(join(project, 'merlon.config.json'))
      const given = join(import.meta.dirname, '../golden/config/dynemcp/dynemcp.config.json.given')
      copyFileSync(given, join(project, 'dynemcp.config.json'))
      writeFileSync(join(project, 'src/auth.ts'), foreignToNobody)
    })

    test('a project runs with it unchanged', async () => {
      const { child, stdout, stderr, printed, exited } = start('start', { PORT: '0' })
      await printed('Make one that lasts')
      expect(stderr().match(/^merlon: warning: dynemcp\.config\.json:/gm)).toHaveLength(4)
      const url = /http:\S+/.exec(stdout())![0]
      const answer = await initialize(url, { 'X-API-Key': /mrl_\w+/.exec(stdout())![0] })
      expect(answer.status).toBe(200)
      expect(answer.headers.get('Content-Type')).toContain('text/event-stream')
      expect(await answer.text()).toContain('"protocolVersion":"2024-11-05"')
      expect((await initialize(url, {})).status).toBe(401)
      expect((await fetch(new URL('/health', url))).status).toBe(200)
      child.kill('SIGTERM')
      expect(await exited()).toBe(0)
    })

    test('the answer to initialize names the session', async () => {
      const { stdout, printed } = start('start', { PORT: '0' })
      await printed('Make one that lasts')
      const url = /http:\S+/.exec(stdout())![0]
      const answer = await initialize(url, { 'X-API-Key': /mrl_\w+/.exec(stdout())![0] })
      await answer.text()
      expect(answer.headers.get('Mcp-Session-Id')).toEqual(expect.stringMatching(/^\S{16,}$/))
    })
  })

  test('a port that is taken is said with what to do', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    const { exited, stdout, stderr } = start('start', { PORT: String(port) })
    expect(await exited()).toBe(1)
    other.close()
    expect(stdout()).toBe('')
    expect(stderr()).toBe(
      `merlon: the MCP endpoint cannot listen on 127.0.0.1:${port}, which is in use\nmerlon: hint: choose another with PORT or server.port\n`,
    )
  })

  test('a first start that fails makes no key, so that the next one shows it', async () => {
    const tool = join(project, 'src/tools/hello.ts')
    writeFileSync(tool, 'export default {')
    expect(await start().exited()).toBe(1)
    writeFileSync(tool, helloTool)
    const { stdout, printed } = start()
    await printed('Make one that lasts')
    expect(stdout()).toMatch(/^ {2}mrl_\w+$/m)
  })

  test.each([
    ['--inspect=0', '--inspect'],
    ['--heapsnapshot-signal=SIGUSR2', '--heapsnapshot-signal'],
  ])('it does not serve with %s, which shows its memory', async (option, name) => {
    const { exited, stdout, stderr } = start('start', { NODE_OPTIONS: option })
    expect(await exited()).toBe(1)
    expect(stdout()).toBe('')
    expect(stderr()).toContain(
      `merlon: ${name} lets others read the secrets of this process from its memory\nmerlon: hint: start without it, NODE_OPTIONS included; \`merlon dev\` allows it\n`,
    )
  })

  test('what it compiled is kept where nobody else may write', async () => {
    const server = start()
    await server.printed('/mcp\n')
    server.child.kill('SIGTERM')
    await server.exited()
    const kept = statSync(join(bin, '../../.compiled'))
    expect([kept.mode & 0o777, kept.uid]).toEqual([0o700, process.getuid!()])
  })

  test('a signal opens no inspector on it', async () => {
    const { child, stderr, printed, exited } = start('start', { NODE_OPTIONS: '--inspect-port=0' })
    await printed('Make one that lasts')
    const said = once(child.stderr!, 'data')
    child.kill('SIGUSR1')
    await said
    child.kill('SIGTERM')
    expect(await exited()).toBe(0)
    expect(stderr()).toContain('merlon: SIGUSR1 opens no inspector here; `merlon dev` allows one\n')
    expect(stderr()).not.toContain('Debugger listening')
  })

  test('a secret from .env does its work and is out of reach of the tools', async () => {
    const keys = start('generate-keys', {})
    await keys.exited()
    rmSync(join(project, '.merlon'), { recursive: true })
    const secret = '8f1d3a5b7c90e2467db8a1f3c5e70912b4d6f8136a8ce02597bf4d1e6083a5c7'
    writeFileSync(join(project, '.env'), `ENCRYPTION_KEY=${secret}\nGREETING=Servus\n`, { mode: 0o600 })
    const prying = helloTool.replace(
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of a program.
      '`Hello, ${name}.`',
      'JSON.stringify([name, process.env.GREETING, process.env.ENCRYPTION_KEY ?? null])',
    )
    writeFileSync(join(project, 'src/tools/hello.ts'), prying)
    const { child, stdout, printed, exited } = start()
    await printed('Make one that lasts')
    const curl = /^curl [\s\S]*?\}'$/m.exec(stdout())![0]
    const call = curl
      .replaceAll('tools/list', 'tools/call')
      .replace("-H 'Mcp-Method", "-H 'Mcp-Name: hello' -H 'Mcp-Method")
      .replace('"params":{', '"params":{"name":"hello","arguments":{"name":"Ada"},')
    expect(await shell(call)).toContain(String.raw`[\"Ada\",\"Servus\",null]`)
    child.kill('SIGTERM')
    expect(await exited()).toBe(0)
  })
})

describe('merlon dev', () => {
  test('it serves with an inspector', async () => {
    const { child, stdout, printed, exited } = start('dev', { NODE_OPTIONS: '--inspect=0' })
    await printed('Make one that lasts')
    expect(stdout()).toMatch(/^Merlon serves /)
    child.kill('SIGTERM')
    expect(await exited()).toBe(0)
  })

  test('it says what a tool lacks, and does not start', async () => {
    writeFileSync(join(project, 'src/tools/hello.ts'), 'export default 1\n')
    const { exited, stdout, stderr } = start('dev')
    expect(await exited()).toBe(1)
    expect(stdout()).toBe('')
    expect(stderr()).toContain('src/tools/hello.ts: this is not made with defineTool')
  })
})

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
