import type { LoadedConfig } from '../config/load.ts'
import { gatherProcess, type ProcessSource } from './process.ts'
import { audit, type Finding } from './rule.ts'
import { runtimeRules } from './rules/runtime.ts'

/**
 * What keeps a server from starting beyond what the loader, the keys, the database and the catalog refuse by themselves: how
 * the process was started. It looks at nothing but the process, so that it costs a start nothing.
 */
export function fatalAtStart(
  process: ProcessSource,
  { config, origins, secrets }: Pick<LoadedConfig, 'config' | 'origins' | 'secrets'>,
): readonly Finding[] {
  return audit(
    runtimeRules.filter(({ severity }) => severity === 'fatal'),
    {
      now: 0,
      config,
      said: [],
      whereOf: (path) => origins.get(path) ?? 'default',
      process: gatherProcess(process, secrets),
    },
  )
}

/** The finding as one line that ends without a stop, so that what to do can follow. */
export function startLine({ rule, where, says }: Finding): string {
  return `${rule.id} ${rule.title.replace(/\.$/, '')}: ${where} ${says}`
}
