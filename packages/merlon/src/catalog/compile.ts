import { Catalog, type CatalogKind, type CompiledKinds } from './catalog.ts'
import { CatalogError, type Problem } from './catalog-error.ts'
import {
  type Complete,
  type Definition,
  definition,
  originOf,
  type PromptDefinition,
  type ResourceDefinition,
  type ResourceTemplateDefinition,
  type ToolDefinition,
} from './define.ts'
import { definitionShapes } from './definition-shape.ts'
import { headerParams } from './header-params.ts'
import { compileSchema } from './schema.ts'
import { compileUriTemplate } from './uri-template.ts'

export {
  Catalog,
  type CatalogKind,
  type CompiledFixedResource,
  type CompiledPrompt,
  type CompiledResource,
  type CompiledTemplate,
  type CompiledTool,
  type FoundResource,
  type ListingPage,
} from './catalog.ts'
export { CatalogError, type Problem } from './catalog-error.ts'

/** A definition and the file it came from. */
export interface Loaded {
  readonly file: string
  readonly definition: object
}

export interface CompileOptions {
  /** What else is wrong, as the loader found: told together with the rest. */
  readonly problems?: readonly Problem[]
}

/**
 * Compiles everything once, so that a call finds its tool, its validator and its requirement ready. Throws one CatalogError
 * with all that is wrong; there is no catalog with a part left out.
 */
export function compileCatalog(loaded: readonly Loaded[], { problems: known = [] }: CompileOptions = {}): Catalog {
  const problems: Problem[] = [...known]
  const entries: { [K in CatalogKind]: CompiledKinds[K][] } = { tools: [], prompts: [], resources: [], templates: [] }
  const seen = new Map<string, string>()

  for (const { file, definition: given } of loaded) {
    const report = (reason: string): void => {
      problems.push({ file, ...placeIn(file, given), reason })
    }
    const unique = (what: string, id: string): void => {
      const first = seen.get(`${what} ${id}`)
      if (first === undefined) seen.set(`${what} ${id}`, file)
      else report(`the ${what} ${id} is already defined in ${first}`)
    }
    if (!isDefinition(given)) {
      report('this is not made with defineTool, defineResource or definePrompt')
      continue
    }
    const kind = given[definition]
    const shape = definitionShapes[kind].safeParse(given)
    if (!shape.success) {
      const what = typeof given.name === 'string' && given.name !== '' ? `the ${kind} ${given.name}` : `a ${kind}`
      for (const { path, message } of shape.error.issues)
        report(`${what}: ${path.length === 0 ? '' : `${path.map(String).join('.')} `}${message}`)
      continue
    }
    unique(kind, given.name)
    try {
      if (kind === 'tool') entries.tools.push(compileTool(given as ToolDefinition))
      else if (kind === 'prompt') entries.prompts.push(compilePrompt(given as PromptDefinition))
      else if (kind === 'resource') {
        unique('URI', (given as ResourceDefinition).uri)
        entries.resources.push(compileResource(given as ResourceDefinition))
      } else {
        unique('URI template', (given as ResourceTemplateDefinition).uriTemplate)
        entries.templates.push(compileTemplate(given as ResourceTemplateDefinition))
      }
    } catch (error) {
      report(`the ${kind} ${given.name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  if (problems.length > 0) throw new CatalogError(problems)
  return new Catalog(entries)
}

export function isDefinition(value: unknown): value is Definition {
  if (typeof value !== 'object' || value === null) return false
  const kind: unknown = (value as { readonly [definition]?: unknown })[definition]
  return typeof kind === 'string' && Object.hasOwn(definitionShapes, kind)
}

/** The line of `defineTool(…)`, where that call stands in the file that exports its result. */
function placeIn(file: string, given: object): { line?: number; column?: number } {
  const origin = originOf(given)
  if (origin === undefined || origin.file !== file) return {}
  return { line: origin.line, column: origin.column }
}

function compileTool(tool: ToolDefinition): CompiledKinds['tools'] {
  const input = compileSchema(tool.input, 'input')
  const output = tool.output === undefined ? undefined : compileSchema(tool.output, 'output')
  return Object.freeze({
    name: tool.name,
    requirement: Object.freeze({ scope: tool.scope ?? 'write' }),
    scopeNamed: tool.scope !== undefined,
    listing: JSON.stringify({
      name: tool.name,
      title: tool.title,
      description: tool.description,
      icons: tool.icons,
      inputSchema: input.jsonSchema,
      outputSchema: output?.jsonSchema,
      annotations: tool.annotations,
      _meta: tool._meta,
    }),
    input,
    output,
    headerParams: headerParams(input.jsonSchema),
    timeoutMs: tool.timeoutMs,
    cost: tool.cost ?? 1,
    concurrency: tool.concurrency,
    run: (value, ctx) => tool.run(value as Record<string, unknown>, ctx),
  } satisfies CompiledKinds['tools'])
}

function compileResource(resource: ResourceDefinition): CompiledKinds['resources'] {
  return Object.freeze({
    kind: 'resource',
    uri: resource.uri,
    name: resource.name,
    requirement: Object.freeze({ scope: resource.scope ?? 'read' }),
    listing: JSON.stringify({
      uri: resource.uri,
      name: resource.name,
      title: resource.title,
      description: resource.description,
      mimeType: resource.mimeType,
      size: resource.size,
      annotations: resource.annotations,
      icons: resource.icons,
      _meta: resource._meta,
    }),
    mimeType: resource.mimeType,
    ttlMs: resource.ttlMs ?? 0,
    read: (uri, _variables, ctx) => resource.read(uri, ctx),
  } satisfies CompiledKinds['resources'])
}

function compileTemplate(resource: ResourceTemplateDefinition): CompiledKinds['templates'] {
  const template = compileUriTemplate(resource.uriTemplate)
  const complete = new Map(Object.entries(resource.complete ?? {}))
  for (const name of complete.keys())
    if (!template.variables.includes(name)) throw new Error(`complete.${name} names no variable of the template`)
  return Object.freeze({
    kind: 'template',
    uriTemplate: resource.uriTemplate,
    template,
    name: resource.name,
    requirement: Object.freeze({ scope: resource.scope ?? 'read' }),
    listing: JSON.stringify({
      uriTemplate: resource.uriTemplate,
      name: resource.name,
      title: resource.title,
      description: resource.description,
      mimeType: resource.mimeType,
      annotations: resource.annotations,
      icons: resource.icons,
      _meta: resource._meta,
    }),
    mimeType: resource.mimeType,
    ttlMs: resource.ttlMs ?? 0,
    list: resource.list,
    complete,
    read: (uri, variables, ctx) => resource.read(uri, variables, ctx),
  } satisfies CompiledKinds['templates'])
}

function compilePrompt(prompt: PromptDefinition): CompiledKinds['prompts'] {
  const given = prompt.arguments ?? []
  const complete = new Map<string, Complete>()
  const names = new Set<string>()
  for (const argument of given) {
    if (names.has(argument.name)) throw new Error(`the argument ${argument.name} is named twice`)
    names.add(argument.name)
    if (argument.complete !== undefined) complete.set(argument.name, argument.complete)
  }
  return Object.freeze({
    name: prompt.name,
    requirement: Object.freeze({ scope: prompt.scope ?? 'read' }),
    listing: JSON.stringify({
      name: prompt.name,
      title: prompt.title,
      description: prompt.description,
      icons: prompt.icons,
      arguments: prompt.arguments?.map(({ name, title, description, required }) => ({
        name,
        title,
        description,
        required,
      })),
      _meta: prompt._meta,
    }),
    arguments: Object.freeze(given.map(({ name, required = false }) => Object.freeze({ name, required }))),
    get: (args, ctx) => prompt.get(args, ctx),
    complete,
  } satisfies CompiledKinds['prompts'])
}
