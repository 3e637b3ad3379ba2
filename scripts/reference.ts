/**
 * Prints what is generated from the code: the pages of docs/reference, the hardening checklist and the JSON Schema of the
 * configuration file. Run with Node 24: `node scripts/reference.ts`. A test compares what is committed with what this would write.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { openApiDocument } from '../packages/merlon/src/admin/openapi.ts'
import { operations } from '../packages/merlon/src/admin/operations.ts'
import { configSchemaText, configurationPage } from '../packages/merlon/src/config/reference.ts'
import { hardeningPage } from '../packages/merlon/src/config-audit/page.ts'
import { errorsPage } from './errors-page.ts'

/** Path from the root of the workspace → the text that belongs there. */
export const generated: ReadonlyMap<string, () => string> = new Map([
  ['packages/merlon/schema/merlon.config.schema.json', configSchemaText],
  ['docs/reference/configuration.md', configurationPage],
  ['docs/reference/errors.md', errorsPage],
  ['docs/reference/openapi.json', () => `${JSON.stringify(openApiDocument(operations), undefined, 2)}\n`],
  ['docs/guide/hardening.md', hardeningPage],
])

if (import.meta.main) {
  const root = join(import.meta.dirname, '..')
  for (const [path, text] of generated) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text())
    process.stdout.write(`${path}\n`)
  }
}
