import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'vitest'
import { helloTool, linkModules } from './project.ts'
import { playCommand, readSession, type Stage } from './session.ts'

/**
 * Each file in sessions/ is what a person typed and saw: a line with `$` is given to a shell in an empty project folder,
 * the lines after it are what it printed, and `[1]` is its exit code where that is not zero. Those in served/ are typed beside
 * a running server, whose control plane is at `$CONTROL`.
 */
const main = join(import.meta.dirname, '../../packages/merlon/bin/merlon.cjs')

describe.each(['sessions', 'served'])('%s', (kind) => {
  const folder = join(import.meta.dirname, kind)

  test.concurrent.for(readdirSync(folder))('%s goes as it is written', { timeout: 300_000 }, async (name, context) => {
    const stage = setUp(context)
    const names = kind === 'served' ? await serve(stage, context) : {}
    const written = readSession(readFileSync(join(folder, name), 'utf8'))
    const played: string[] = []
    for (const { command } of written) played.push(await playCommand(command, { ...stage, names }))
    context.expect(played.join('\n')).toBe(written.map(({ text }) => text).join('\n'))
  })
})

/** Tests run side by side, so each says for itself what is to be cleared away after it. */
type Ending = Pick<TestContext, 'onTestFinished'>

function setUp({ onTestFinished }: Ending): Stage {
  const folder = mkdtempSync(join(tmpdir(), 'merlon-transcript-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const bin = join(folder, 'bin')
  const project = join(folder, 'project')
  mkdirSync(bin)
  mkdirSync(project)
  writeFileSync(join(bin, 'merlon'), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`, { mode: 0o755 })
  linkModules(project)
  return { bin, project }
}

/** Starts a server of the project, and answers what a session may call it by. */
async function serve({ project }: Stage, { onTestFinished }: Ending): Promise<Readonly<Record<string, string>>> {
  mkdirSync(join(project, 'src/tools'), { recursive: true })
  writeFileSync(join(project, 'src/tools/hello.ts'), helloTool)
  writeFileSync(join(project, 'merlon.config.json'), JSON.stringify({ server: { port: 0 } }))
  const child = spawn(process.execPath, [main, 'start'], {
    cwd: project,
    env: { PATH: '/usr/bin:/bin' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  onTestFinished(() => stop(child))
  let printed = ''
  for await (const text of child.stdout.setEncoding('utf8')) {
    printed += text
    if (printed.includes('Make yourself')) break
  }
  const [, MCP = ''] = /^Merlon serves (\S+)\/mcp$/m.exec(printed) ?? []
  const [, CONTROL = ''] = /^Control plane: (\S+)$/m.exec(printed) ?? []
  return { MCP, CONTROL, SERVER_ID: String(child.pid) }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
