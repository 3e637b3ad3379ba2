import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run } from './program.ts'
import { silentContext } from './silent-context.fixture.ts'

let project = ''
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'merlon-cli-'))
  writeFileSync(join(project, 'merlon.config.json'), '{}')
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

async function merlon(args: readonly string[], answer?: boolean) {
  const out: string[] = []
  const said: string[] = []
  const asked: string[] = []
  const context = silentContext({
    cwd: project,
    env: { MERLON_LOG_LEVEL: 'silent' },
    out: (text) => void out.push(text),
    say: (text) => void said.push(text),
    interactive: answer !== undefined,
    async confirm(question) {
      asked.push(question)
      return answer === true
    },
  })
  return { exitCode: await run(args, context), out: out.join('\n'), said: said.join('\n'), asked }
}

describe('the command line', () => {
  test('a result goes to stdout alone, and everything else beside it', async () => {
    const { exitCode, out, said } = await merlon(['key', 'create', '--name', 'ci', '--scopes', 'read'])
    expect(exitCode).toBe(0)
    expect(out).toMatch(/^mrl_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$/)
    expect(said).toMatch(/^merlon: key_\w{12} \(ci\) may read until \S+; it is shown this once$/)
    expect(said).not.toContain(out)
  })

  test('it asks before it revokes, and a no changes nothing', async () => {
    const made = await merlon(['key', 'create', '--name', 'to-go', '--scopes', 'read', '--json'])
    const { id } = JSON.parse(made.out)
    const no = await merlon(['key', 'revoke', id], false)
    expect(no).toEqual({
      exitCode: 1,
      out: '',
      said: 'merlon: nothing was changed',
      asked: [`Revoke ${id} (to-go) for good?`],
    })
    const { items } = JSON.parse((await merlon(['key', 'list', '--json'])).out)
    expect(items.find((key: { id: string }) => key.id === id)).toMatchObject({ isActive: true })
    expect((await merlon(['key', 'revoke', id], true)).out).toBe(`${id} is revoked`)
    expect((await merlon(['key', 'revoke', id, '--json'])).asked).toEqual([])
  })

  test('the key of the first start, which nobody saw, does not stand', async () => {
    const { items } = JSON.parse((await merlon(['key', 'list', '--json'])).out)
    expect(items.find(({ name }: { name: string }) => name === 'first-start')).toMatchObject({ isActive: false })
  })

  test.each([
    [['config'], 2],
    [['nonsense'], 2],
    [['start', '--nonsense'], 2],
    [['key', 'revoke'], 2],
    [['--help'], 0],
    [['key', 'create', '--help'], 0],
    [['--version'], 0],
    [[], 2],
  ])('%j leaves with %d', async (args, exitCode) => {
    expect((await merlon(args)).exitCode).toBe(exitCode)
  })
})
