import type { CliContext } from './context.ts'

/** A context that prints nowhere and in which nobody is there to answer. */
export function silentContext(other: Partial<CliContext> = {}): CliContext {
  return {
    cwd: '/',
    env: {},
    out() {},
    async write() {},
    say() {},
    interactive: false,
    confirm: async () => false,
    askSecret: async () => '',
    readInput: async () => '',
    ...other,
  }
}
