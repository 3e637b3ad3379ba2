import { CliError } from './context.ts'

/** How this process was started, as far as it lets others read its memory. */
export interface Started {
  readonly flags: readonly string[]
  readonly nodeOptions: string | undefined
  /** Where an inspector listens now. */
  readonly inspector: string | undefined
}

/** Options of Node.js that open an inspector, write the heap to a file, or leave a core behind when the process fails. */
const exposing =
  /^--(?:inspect(?:-brk|-wait)?|heapsnapshot-(?:signal|near-heap-limit)|abort-on-uncaught-exception)(?:=|$)/

/**
 * What lets others read the memory of the process, where every secret is: an option by name, an inspector that something
 * opened, or `undefined`. Its own start options and NODE_OPTIONS count; limits of the system, such as on cores, do not.
 */
export function exposure({ flags, nodeOptions, inspector }: Started): string | undefined {
  const inherited = (nodeOptions ?? '').split(/[\s"]+/)
  for (const flag of [...flags, ...inherited]) {
    // Node.js takes an underline for a hyphen: --inspect_brk.
    const name = flag.replace(/=.*$/s, '').replaceAll('_', '-')
    if (exposing.test(name)) return name
  }
  return inspector === undefined ? undefined : 'an open inspector'
}

/** The same, for this process. */
export function exposureOfProcess(): string | undefined {
  return exposure({
    flags: process.execArgv,
    nodeOptions: process.env['NODE_OPTIONS'],
    // A Node.js built without an inspector lacks the module, too.
    inspector: process.features.inspector ? process.getBuiltinModule('node:inspector').url() : undefined,
  })
}

/**
 * Refuses to serve from a process whose memory others can read (ASVS V13.4.2), and keeps the inspector shut from then on:
 * Node.js opens one for any SIGUSR1 that nobody listens for. Stands before the secrets are read.
 */
export function refuseInspection(say: (text: string) => void): void {
  const found = exposureOfProcess()
  if (found !== undefined) {
    throw new CliError(
      `${found} lets others read the secrets of this process from its memory`,
      'start without it, NODE_OPTIONS included; `merlon dev` allows it',
    )
  }
  process.on('SIGUSR1', () => say('merlon: SIGUSR1 opens no inspector here; `merlon dev` allows one'))
}
