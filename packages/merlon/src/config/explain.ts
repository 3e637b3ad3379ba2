import type { LoadedConfig } from './load.ts'
import { settings } from './settings.ts'

/** One setting in force. */
export interface Explained {
  readonly setting: string
  readonly value: unknown
  readonly from: string
}

/** Every setting in force and where it came from. A secret is shown as its reference, because nothing else is in the config. */
export function explain({ config, origins }: LoadedConfig): readonly Explained[] {
  return settings.map(({ path, segments }) => ({
    setting: path,
    value: segments.reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], config) ?? null,
    from: origins.get(path) ?? 'default',
  }))
}

/** The same as a table in plain text. */
export function explainTable(rows: readonly Explained[]): string {
  const cells = rows.map(({ setting, value, from }) => [setting, value === null ? '-' : JSON.stringify(value), from])
  const all = [['SETTING', 'VALUE', 'FROM'], ...cells]
  const widths = [0, 1].map((column) => Math.min(60, Math.max(...all.map((row) => row[column]!.length))))
  return all.map(([a, b, c]) => `${a!.padEnd(widths[0]!)}  ${b!.padEnd(widths[1]!)}  ${c}`).join('\n')
}
