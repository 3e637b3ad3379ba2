import { hash } from 'node:crypto'
import type * as z from 'zod'
import { accessText, openApiDocument, tagOf } from './openapi.ts'
import type { Operation } from './operation.ts'

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
code,pre{font:14px/1.5 ui-monospace,monospace}pre{background:#f4f4f4;padding:.75rem;overflow:auto}
h3{margin-bottom:.25rem}table{border-collapse:collapse}td,th{text-align:left;padding:.25rem .75rem .25rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}pre{background:#242424}a{color:#9cf}}`

/** Lets a browser apply the style of the page, and no other. */
export const pageStyleHash = `sha256-${hash('sha256', style, 'base64')}`

/** The document as a page to read: no script, nothing from elsewhere. Made from the table alone: no client text is in it. */
export function apiPage(operations: readonly Operation[]): string {
  const { info } = openApiDocument(operations) as { info: { title: string; description: string } }
  const nouns = Map.groupBy(operations, tagOf)
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(info.title)}</title><style>${style}</style></head>
<body><h1>${escaped(info.title)}</h1><p>${escaped(info.description)}</p>
<p>The same as <a href="/api/openapi.json">OpenAPI 3.1</a>. A refusal is <code>application/problem+json</code>: a program switches on its <code>code</code>.</p>
<ul>${[...nouns.keys()].map((noun) => `<li><a href="#${escaped(noun)}">${escaped(noun)}</a></li>`).join('')}</ul>
${[...nouns].map(([noun, all]) => `<h2 id="${escaped(noun)}">${escaped(noun)}</h2>${all.map(section).join('\n')}`).join('\n')}
</body></html>
`
}

function section(operation: Operation): string {
  const { name, method, path, summary } = operation
  const fields = [
    ...rows('path', operation.params),
    ...rows('query', operation.query),
    ...(operation.body === undefined ? [] : rows('body', operation.body)),
    ...(operation.versioned ? [['header', 'If-Match', 'yes', 'The ETag that was seen.']] : []),
    ...(operation.creates ? [['header', 'Idempotency-Key', '', 'Names this attempt.']] : []),
  ]
  const table =
    fields.length === 0
      ? ''
      : `<table><tr><th>in<th>name<th>required<th>what</tr>${fields
          .map((cells) => `<tr>${cells.map((cell) => `<td>${escaped(cell ?? '')}`).join('')}</tr>`)
          .join('')}</table>`
  return `<h3 id="${escaped(name)}"><code>${method} ${escaped(path)}</code></h3><p>${escaped(summary)} It takes ${escaped(accessText(operation))}. <small><code>${escaped(name)}</code></small></p>${table}`
}

function rows(where: string, schema: z.ZodType): readonly (readonly string[])[] {
  return fieldsOf(schema).map(([name, field]) => [
    where,
    name,
    field.safeParse(undefined).success ? '' : 'yes',
    field.description ?? '',
  ])
}

/** The fields of an object; those of all its forms, where it has several. */
function fieldsOf(schema: z.ZodType): readonly (readonly [string, z.ZodType])[] {
  const { def } = schema as unknown as { def: Shape }
  if (def.type === 'object') return Object.entries(def.shape ?? {})
  if (def.type === 'optional') return fieldsOf(def.innerType!)
  if (def.type === 'union') return [...new Map(def.options!.flatMap((form) => [...fieldsOf(form)]))]
  return []
}

interface Shape {
  readonly type: string
  readonly shape?: Record<string, z.ZodType>
  readonly innerType?: z.ZodType
  readonly options?: readonly z.ZodType[]
}

const entities = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
])

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => entities.get(character)!)
}
