import { readFileSync } from 'node:fs'
import type { Secrets } from '../config/secrets.ts'
import type { ProcessFacts } from './facts.ts'

/** The part of `process` that is looked at, and what lets others read its memory. */
export interface ProcessSource {
  readonly versions: { readonly node: string }
  readonly execArgv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly getuid?: (() => number) | undefined
  readonly exposed?: string | undefined
}

/** Variables whose values are looked at. None of them holds a secret. */
const looked = ['NODE_TLS_REJECT_UNAUTHORIZED', 'NODE_DEBUG', 'NODE_DEBUG_NATIVE', 'DEBUG', 'NODE_ENV']

export function gatherProcess(source: ProcessSource, secrets: Pick<Secrets, 'env' | 'names'>): ProcessFacts {
  const inherited = (source.env['NODE_OPTIONS'] ?? '').split(/[\s"]+/)
  return {
    nodeVersion: source.versions.node,
    flags: [...source.execArgv, ...inherited].filter((flag) => flag.startsWith('-')).map(plain),
    // `.env` is lent to the process, so what stands in it counts as much.
    variables: new Map(
      looked.flatMap((name) => {
        const value = source.env[name] ?? secrets.env[name]
        return value === undefined ? [] : [[name, value] as const]
      }),
    ),
    secretVariables: secrets.names.filter((name) => source.env[name] !== undefined),
    exposed: source.exposed,
    user: source.getuid?.(),
    umask: umask(procFile('status')),
    coreBytesMax: coreBytesMax(procFile('limits')),
  }
}

/** Node.js takes an underline for a hyphen: --insecure_http_parser. */
function plain(flag: string): string {
  const [name = '', ...value] = flag.split('=')
  return [name.replaceAll('_', '-'), ...value].join('=')
}

/** Read rather than asked for: `process.umask()` sets it to learn it, which another thread may see. */
function umask(status: string): number | undefined {
  const octal = /^Umask:\s*([0-7]+)$/m.exec(status)?.[1]
  return octal === undefined ? undefined : Number.parseInt(octal, 8)
}

function coreBytesMax(limits: string): number | undefined {
  const soft = /^Max core file size\s+(\S+)/m.exec(limits)?.[1]
  if (soft === undefined) return undefined
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}

/** What Linux says of this process; empty elsewhere. */
function procFile(name: 'status' | 'limits'): string {
  try {
    return readFileSync(`/proc/self/${name}`, 'utf8')
  } catch {
    return ''
  }
}
