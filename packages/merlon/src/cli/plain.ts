/**
 * Text that others chose, safe to print: what a terminal would act on, or what would hide or turn other text, is written as
 * `\u….`. In JSON that is the same value.
 */
export function plain(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** JSON for programs, laid out for people. */
export function json(value: unknown): string {
  return JSON.stringify(value, null, 2).split('\n').map(plain).join('\n')
}

/** A value of an answer as one cell: times to the second, lists with commas, `-` for nothing. */
export function cell(value: unknown): string {
  if (value === undefined || value === null || value === '') return '-'
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(cell).join(',')
  if (typeof value === 'object') return plain(JSON.stringify(value))
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  const text = String(value)
  return time.test(text) ? `${text.slice(0, 19)}Z` : plain(text)
}

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/

/** Rows in aligned columns, with two spaces between them. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return aligned([head, ...rows])
}

/** The members of an answer, one a line: `lastUsedAt` as `last used at`. */
export function lines(value: object): string {
  return aligned(Object.entries(value).map(([name, each]) => [words(name), cell(each)]))
}

function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, text] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, text.length)
  }
  return rows
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
