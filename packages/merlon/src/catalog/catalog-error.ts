/** One thing that is wrong with the catalog, where it is, and what it is, in words for the author. */
export interface Problem {
  readonly file: string
  /** From 1, where known. */
  readonly line?: number | undefined
  /** From 1, where known. */
  readonly column?: number | undefined
  readonly reason: string
}

/** Everything that is wrong with the catalog, at once. It stops the start; it is never sent to a client. */
export class CatalogError extends Error {
  override readonly name = 'CatalogError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(sentence).join('\n'))
    this.problems = Object.freeze([...problems])
  }
}

function sentence({ file, line, column, reason }: Problem): string {
  const place = line === undefined ? '' : column === undefined ? `:${line}` : `:${line}:${column}`
  return `${file}${place}: ${reason}`
}
