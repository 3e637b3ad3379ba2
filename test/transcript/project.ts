import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** Lets a project outside the workspace import what a project has installed: merlon, zod and TypeScript. */
export function linkModules(project: string): void {
  mkdirSync(join(project, 'node_modules', '@types'), { recursive: true })
  symlinkSync(join(root, 'packages/merlon'), join(project, 'node_modules/merlon'))
  for (const name of ['zod', 'typescript', '@types/node']) {
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name))
  }
}

/** A tool that greets, as text of a file. */
export const helloTool = `import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'hello',
  description: 'Greets.',
  input: z.strictObject({ name: z.string() }),
  scope: 'read',
  run: ({ name }) => \`Hello, \${name}.\`,
})
`

/** An authentication module that knows no credential, as text of a file. */
export const foreignToNobody = `import { defineAuthenticator, reject } from 'merlon'

export default defineAuthenticator({ authenticate: () => reject('unknown') })
`
