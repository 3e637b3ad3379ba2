const unitMs = new Map([
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

/**
 * Reads a span such as `90d`, `12h` or `30m` into milliseconds. `undefined` for anything else, and for nothing at all:
 * `0`, `never`, a minus, a fraction, or a span beyond `maxMs`. There is no way to write "forever".
 */
export function parseLifetime(text: string, maxMs: number): number | undefined {
  const match = /^([1-9][0-9]{0,6})([mhd])$/.exec(text)
  if (match === null) return undefined
  const ms = Number(match[1]) * unitMs.get(match[2]!)!
  return ms <= maxMs ? ms : undefined
}

/** Reads how long an old secret stays good: as a lifetime, or `0` for not at all. */
export function parseGrace(text: string, maxMs: number): number | undefined {
  return text === '0' ? 0 : parseLifetime(text, maxMs)
}
