/** One instruction, its continuation lines joined: `RUN`, and what follows. */
export interface Instruction {
  readonly verb: string
  readonly rest: string
}

export interface Stage {
  readonly name: string | undefined
  /** What it is built from, with the defaults of ARG put in. */
  readonly base: string
  readonly instructions: readonly Instruction[]
}

/** Reads a Dockerfile of the kind we write: one ARG for each base, no heredocs, no escapes but the end of a line. */
export function readDockerfile(text: string): readonly Stage[] {
  const defaults = new Map<string, string>()
  const stages: { name: string | undefined; base: string; instructions: Instruction[] }[] = []
  for (const line of joined(text)) {
    const [, verb = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? []
    if (verb === '') throw new Error(`not an instruction: ${line}`)
    if (verb === 'ARG' && stages.length === 0) {
      const [name = '', value = ''] = rest.split(/=(.*)/)
      defaults.set(name, value)
    } else if (verb === 'FROM') {
      const [base = '', , name] = rest.split(/\s+/)
      stages.push({ name, base: base.replace(/\$\{(\w+)\}/g, (_, arg) => defaults.get(arg) ?? ''), instructions: [] })
    } else {
      const stage = stages.at(-1)
      if (stage === undefined) throw new Error(`before the first FROM: ${line}`)
      stage.instructions.push({ verb, rest })
    }
  }
  return stages
}

function joined(text: string): readonly string[] {
  return text
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

export const restsOf = ({ instructions }: Stage, verb: string): readonly string[] =>
  instructions.filter((each) => each.verb === verb).map(({ rest }) => rest)

/** The words of `CMD ["…"]`, which is the only form that needs no shell. */
export function wordsOf(rest: string): readonly string[] {
  const words: unknown = JSON.parse(rest.replace(/^.*?(?=\[)/, ''))
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string')) throw new Error(`no words: ${rest}`)
  return words
}

/** What must not be seen in an image that serves: each is a sentence. */
export function problemsOf(text: string): readonly string[] {
  const stages = readDockerfile(text)
  const last = stages.at(-1)
  if (last === undefined || stages.length < 2) return ['it has one stage: what builds would be served']
  const problems: string[] = []
  const names = new Set(stages.flatMap(({ name }) => name ?? []))
  for (const { base } of stages) {
    if (!names.has(base) && !/^[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}$/.test(base)) problems.push(`${base} has no digest`)
  }
  const user = restsOf(last, 'USER').at(-1)
  // A number: an engine that is told to refuse root cannot look up a name.
  if (!/^[1-9][0-9]*:[1-9][0-9]*$/.test(user ?? '')) problems.push(`USER ${user} is not a number above zero`)
  for (const verb of ['RUN', 'ADD', 'SHELL', 'ARG', 'ONBUILD']) {
    if (restsOf(last, verb).length > 0) problems.push(`${verb} in the last stage`)
  }
  for (const rest of restsOf(last, 'COPY')) {
    if (!rest.startsWith('--from=build ')) problems.push(`COPY ${rest} brings something that was not built`)
  }
  for (const { verb, rest } of stages.flatMap(({ instructions }) => instructions)) {
    if (verb === 'ADD') problems.push(`ADD ${rest}: it fetches, and unpacks`)
    if (/(?:SECRET|PASSWORD|TOKEN|_KEY|_URL)\s*=/i.test(rest)) problems.push(`${verb} ${rest} may hold a secret`)
    if (/\b(?:curl|wget|sudo)\b/.test(rest)) problems.push(`${verb} ${rest} fetches past the lockfile`)
    if (verb === 'RUN' && /\bnpm (?:install|i|update)\b/.test(rest))
      problems.push(`RUN ${rest}: npm ci keeps to the lockfile`)
    if (verb === 'RUN' && /\bnpm (?:ci|prune|pack)\b(?!.*--ignore-scripts)/.test(rest))
      problems.push(`RUN ${rest} runs scripts of packages`)
  }
  for (const verb of ['HEALTHCHECK', 'ENTRYPOINT', 'CMD', 'STOPSIGNAL', 'VOLUME']) {
    if (restsOf(last, verb).length !== 1) problems.push(`${verb} is there ${restsOf(last, verb).length} times`)
  }
  for (const verb of ['HEALTHCHECK', 'ENTRYPOINT', 'CMD']) {
    if (!restsOf(last, verb).every((rest) => rest.includes('['))) problems.push(`${verb} needs a shell`)
  }
  return problems
}

/** Whether .dockerignore keeps this path out of the build. The last pattern that fits it, or a folder above it, decides. */
export function leftOut(dockerignore: string, path: string): boolean {
  const parts = path.split('/')
  const above = parts.map((_, at) => parts.slice(0, at + 1).join('/'))
  let out = false
  for (const pattern of joined(dockerignore)) {
    const fits = patternOf(pattern.replace(/^!/, ''))
    if (above.some((each) => fits.test(each))) out = !pattern.startsWith('!')
  }
  return out
}

function patternOf(pattern: string): RegExp {
  const text = pattern
    .split('**/')
    .map((piece) => piece.replaceAll('.', '\\.').replaceAll('*', '[^/]*'))
    .join('(?:.*/)?')
  return new RegExp(`^${text}$`)
}
