import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const workspace = fileURLToPath(new URL('../../', import.meta.url))

/** A Markdown file of the workspace. */
export interface Document {
  /** Its path from the root of the workspace. */
  readonly path: string
  readonly text: string
}

const passedOver = new Set(['node_modules', 'dist', '.git', '.merlon', 'template'])

export const documents: readonly Document[] = markdownUnder(workspace)

function markdownUnder(folder: string): Document[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (passedOver.has(entry.name)) return []
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return markdownUnder(path)
    if (!entry.name.endsWith('.md')) return []
    return [{ path: relative(workspace, path), text: readFileSync(path, 'utf8') }]
  })
}

/** Targets of links and images, without their titles. Text in code is no link. */
export function linkTargets(text: string): readonly string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!)
}

/** Code spans and lines of fenced code. */
export function codeIn(text: string): readonly string[] {
  const fenced = codeBlocks(text).flatMap(({ code }) => code.split('\n'))
  const spans = [...withoutBlocks(text).matchAll(/`([^`\n]+)`/g)].map(([, span]) => span!)
  return [...spans, ...fenced]
}

export interface CodeBlock {
  readonly language: string
  readonly code: string
}

export function codeBlocks(text: string): readonly CodeBlock[] {
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, code]) => ({
    language: language!,
    code: code!,
  }))
}

/** The fragments that lead to a heading, as GitHub makes them. */
export function fragments(text: string): ReadonlySet<string> {
  const headings = [...withoutBlocks(text).matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading]) => heading!)
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

/** Names of files in the workspace that the text writes as code: `packages/merlon/src/errors.ts`. */
export function namedPaths({ path, text }: Document): readonly string[] {
  const roots = /^(?:packages|examples|docs|test|bench|scripts)\/[\w./*-]*$/
  const inProject = /^(?:src|test)\/[\w./-]+\.\w+$/
  const project = path.startsWith('examples/') ? dirname(path) : undefined
  return [...withoutBlocks(text).matchAll(/`([^`\n]+)`/g)].flatMap(([, span]) => {
    const name = span!.replace(/\*.*$/, '')
    if (project !== undefined && inProject.test(span!)) return [join(project, name)]
    return roots.test(span!) ? [name] : []
  })
}

function withoutBlocks(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '')
}

function withoutCode(text: string): string {
  return withoutBlocks(text).replaceAll(/`[^`\n]*`/g, '')
}
