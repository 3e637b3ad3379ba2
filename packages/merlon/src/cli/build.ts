import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Command } from 'commander'
import { type CliContext, CliError, loadProject, type ProjectOption, withProject } from './context.ts'

/** `build`: compiles the project with its own TypeScript, then loads what came out, so that `start` meets no surprise. */
export function registerBuildCommand(program: Command, context: CliContext): void {
  withProject(program.command('build'))
    .description('compile the project to dist/ and check that its catalog loads')
    .action(async (options: ProjectOption) => {
      const { config, project } = await loadProject(context, options)
      const compiled = existsSync(join(project, 'tsconfig.json'))
      if (compiled) await compile(project, context)
      else context.say('merlon: no tsconfig.json, so there is nothing to compile')
      const folder = compiled && existsSync(join(project, 'dist')) ? 'dist' : config.catalog.folder
      const { loadCatalog } = await import('../catalog/load.ts')
      const { tools, resources, templates, prompts } = await loadCatalog(join(project, folder))
      context.out(
        `${folder}/: ${count(tools, 'tool')}, ${count([...resources, ...templates], 'resource')}, ${count(prompts, 'prompt')}`,
      )
    })
}

function count(things: readonly unknown[], name: string): string {
  return `${things.length} ${name}${things.length === 1 ? '' : 's'}`
}

async function compile(project: string, context: CliContext): Promise<void> {
  const compiler = compilerOf(project)
  if (compiler === undefined) {
    throw new CliError('the project has a tsconfig.json but no TypeScript', 'npm install --save-dev typescript')
  }
  const child = spawn(process.execPath, [compiler, '-p', 'tsconfig.json', '--pretty', 'false'], {
    cwd: project,
    env: withoutSecrets(context.env),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => lines.push(text))
  }
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve))
  const said = lines.join('').trimEnd()
  if (said !== '') context.say(said)
  if (code !== 0) throw new CliError('the project does not compile', 'mend the lines above and run it again')
}

/** The `tsc` of the TypeScript that the project itself resolves. */
function compilerOf(project: string): string | undefined {
  try {
    const manifestPath = createRequire(join(project, 'package.json')).resolve('typescript/package.json')
    const manifest: { bin?: { tsc?: string } } = JSON.parse(readFileSync(manifestPath, 'utf8'))
    return manifest.bin?.tsc === undefined ? undefined : join(manifestPath, '..', manifest.bin.tsc)
  } catch {
    return undefined
  }
}

/** The compiler has no use for secrets, so it does not get them. */
function withoutSecrets(env: CliContext['env']): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/(?:SECRET|KEY|TOKEN|PASSWORD)$|^(?:DATABASE|REDIS)_URL$/.test(name)),
  )
}
