import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  globSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { basename, join, posix, relative } from 'node:path'
import { type Instruction, leftOut, readDockerfile, type Stage } from './dockerfile.ts'

/** The file system of a stage, in a folder: `/app` is `<folder>/app`. Of its base it has Node.js alone. */
export interface Built {
  readonly folder: string
  /** What ENV set. */
  readonly env: Readonly<Record<string, string>>
}

/**
 * Does what an engine would do with a Dockerfile, as far as folders go: COPY by .dockerignore, RUN in a shell in the working
 * folder, and the last stage from what COPY brings there. What it cannot show: the base images, owners, and that a RUN names
 * no absolute path (it would be one of this machine, so it is refused).
 */
export function buildImage(context: string, folder: string, environment: NodeJS.ProcessEnv): Built {
  const stages = readDockerfile(readFileSync(join(context, 'Dockerfile'), 'utf8'))
  const dockerignore = readFileSync(join(context, '.dockerignore'), 'utf8')
  const roots = new Map<string, string>()
  let built: Built | undefined
  for (const [at, stage] of stages.entries()) {
    const root = join(folder, `stage-${at}`)
    mkdirSync(join(root, 'usr/local/bin'), { recursive: true })
    if (stage.base.startsWith('node:')) symlinkSync(process.execPath, join(root, 'usr/local/bin/node'))
    if (stage.name !== undefined) roots.set(stage.name, root)
    built = { folder: root, env: runStage(stage, { root, roots, context, dockerignore, environment }) }
  }
  if (built === undefined) throw new Error('there is no stage')
  return built
}

interface Site {
  readonly root: string
  readonly roots: ReadonlyMap<string, string>
  readonly context: string
  readonly dockerignore: string
  readonly environment: NodeJS.ProcessEnv
}

function runStage({ instructions }: Stage, site: Site): Readonly<Record<string, string>> {
  const env: Record<string, string> = {}
  let place = '/'
  for (const { verb, rest } of instructions) {
    if (verb === 'WORKDIR') {
      place = posix.resolve(place, rest)
      mkdirSync(join(site.root, place), { recursive: true })
    } else if (verb === 'ENV') {
      for (const [, name = '', value = ''] of rest.matchAll(/(\w+)=(\S*)/g)) env[name] = value
    } else if (verb === 'COPY') copy({ verb, rest }, place, site)
    else if (verb === 'RUN') {
      if (/(?:^|[\s=])\/(?!\/)/.test(rest)) throw new Error(`RUN names an absolute path: ${rest}`)
      execFileSync('sh', ['-ec', rest], {
        cwd: join(site.root, place),
        env: site.environment,
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: 240_000,
      })
    }
  }
  return env
}

function copy({ rest }: Instruction, place: string, { root, roots, context, dockerignore }: Site): void {
  const words = rest.split(/\s+/)
  const flags = words.filter((word) => word.startsWith('--'))
  const paths = words.filter((word) => !word.startsWith('--'))
  const to = paths.at(-1)!
  const target = join(root, posix.resolve(place, to))
  const from = flags.find((flag) => flag.startsWith('--from='))?.slice('--from='.length)
  const source = from === undefined ? context : roots.get(from)
  if (source === undefined) throw new Error(`COPY from ${from}, which is no stage`)
  const mode = flags.find((flag) => flag.startsWith('--chmod='))?.slice('--chmod='.length)
  for (const path of paths.slice(0, -1)) {
    const found = join(source, path)
    const into = to.endsWith('/') && !statSync(found).isDirectory() ? join(target, basename(path)) : target
    cpSync(found, into, {
      recursive: true,
      verbatimSymlinks: true,
      // Looked at one by one: an engine never sends what is left out to the build.
      filter: (each) => from !== undefined || each === context || !leftOut(dockerignore, relative(context, each)),
    })
    if (mode !== undefined) chmodSync(into, Number.parseInt(mode, 8))
  }
}

/** Every file in a folder, by its path there; links are named and not followed. */
export function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (path) => !lstatSync(join(folder, path)).isDirectory(),
  )
}

/** What a pattern leads to in a folder. */
export const found = (pattern: string, folder: string): readonly string[] => globSync(pattern, { cwd: folder })
