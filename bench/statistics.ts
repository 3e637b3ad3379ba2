/** The value below which `share` of `sorted` lies (nearest rank). `sorted` ascends; an empty list gives NaN. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return Number.NaN
  const rank = Math.ceil(share * sorted.length)
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1]!
}

/** The middle value; of an even number of values, the mean of the two in the middle. An empty list gives NaN. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/**
 * The median of `values[i] / base[i]`. Both were measured in the same round, so what slowed the machine in that round
 * slowed both; rounds that only one of them has are left out. NaN where no round is shared.
 */
export function medianRatio(values: readonly number[], base: readonly number[]): number {
  const ratios: number[] = []
  for (let round = 0; round < Math.min(values.length, base.length); round++) {
    const ratio = values[round]! / base[round]!
    if (Number.isFinite(ratio)) ratios.push(ratio)
  }
  return median(ratios)
}

/** Welch's t between two samples, and their means: how far apart they are for how much they scatter. */
export function welch(a: readonly number[], b: readonly number[]): { t: number; meanA: number; meanB: number } {
  const [meanA, varianceA] = moments(a)
  const [meanB, varianceB] = moments(b)
  return { t: (meanA - meanB) / Math.sqrt(varianceA / a.length + varianceB / b.length), meanA, meanB }
}

function moments(values: readonly number[]): [mean: number, variance: number] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return [mean, squares / (values.length - 1)]
}
