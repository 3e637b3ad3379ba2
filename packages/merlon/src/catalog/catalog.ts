import type { Awaitable, Principal, ScopeSet } from '../call.ts'
import { type Requirement, visible } from '../policy/decide.ts'
import { holds } from '../policy/scopes.ts'
import type { CallContext, Complete, PromptDefinition, ResourceBody, ResourceTemplateDefinition } from './define.ts'
import type { HeaderParam } from './header-params.ts'
import type { CompiledSchema } from './schema.ts'
import type { UriTemplate } from './uri-template.ts'

interface CompiledBase {
  readonly name: string
  /** What a caller needs; never absent. */
  readonly requirement: Requirement
  /** JSON text of the entry in its list. */
  readonly listing: string
}

export interface CompiledTool extends CompiledBase {
  /** Whether its author named the scope that `requirement` asks for. */
  readonly scopeNamed: boolean
  readonly input: CompiledSchema
  readonly output: CompiledSchema | undefined
  readonly headerParams: readonly HeaderParam[]
  /** Longest time for one call; `undefined` means the installation's. */
  readonly timeoutMs: number | undefined
  /** How many calls one call counts as. */
  readonly cost: number
  /** How many calls of it may be under way at once; `undefined` means the installation's. */
  readonly concurrency: number | undefined
  /** Runs the handler on what `input.check` answered. */
  readonly run: (input: unknown, ctx: CallContext) => unknown
}

interface CompiledReadable extends CompiledBase {
  readonly mimeType: string | undefined
  readonly ttlMs: number
  /** Returns `undefined` where there is no such resource. A fixed resource ignores the variables. */
  readonly read: (
    uri: string,
    variables: Readonly<Record<string, string>>,
    ctx: CallContext,
  ) => Awaitable<ResourceBody | undefined>
}

export interface CompiledFixedResource extends CompiledReadable {
  readonly kind: 'resource'
  readonly uri: string
}

export interface CompiledTemplate extends CompiledReadable {
  readonly kind: 'template'
  readonly uriTemplate: string
  readonly template: UriTemplate
  readonly list: ResourceTemplateDefinition['list']
  readonly complete: ReadonlyMap<string, Complete>
}

export type CompiledResource = CompiledFixedResource | CompiledTemplate

export interface CompiledPrompt extends CompiledBase {
  readonly arguments: readonly { readonly name: string; readonly required: boolean }[]
  readonly get: PromptDefinition['get']
  readonly complete: ReadonlyMap<string, Complete>
}

/** The lists of the catalog, and what each holds. */
export interface CompiledKinds {
  readonly tools: CompiledTool
  readonly prompts: CompiledPrompt
  readonly resources: CompiledFixedResource
  readonly templates: CompiledTemplate
}
export type CatalogKind = keyof CompiledKinds

export interface ListingPage {
  /** The JSON of the page's entries, joined with commas; empty where the page is. */
  readonly entries: string
  /** Where the next page starts; `undefined` on the last. */
  readonly next: number | undefined
}

export interface FoundResource {
  readonly resource: CompiledResource
  /** Null-prototype; empty for a fixed resource. */
  readonly variables: Readonly<Record<string, string>>
}

/** A longer URI names no resource. */
export const uriLengthMax = 8_192

/** Sets of rights whose lists are kept ready, and the characters of JSON they may hold together. */
const viewsMax = 64
const pageCharsMax = 16_777_216

const noVariables: Readonly<Record<string, string>> = Object.freeze(Object.create(null))

/** The lists as seen with one set of scopes. */
interface View {
  readonly lists: { -readonly [K in CatalogKind]?: readonly CompiledKinds[K][] }
  readonly pages: Map<string, ListingPage>
  chars: number
}

/**
 * All tools, resources and prompts, compiled and frozen. Nothing here decides who may call: ask `policy/decide.ts` with
 * the `requirement` of what was found. The lists hold only what the principal's role may see.
 */
export class Catalog {
  readonly tools: readonly CompiledTool[]
  readonly prompts: readonly CompiledPrompt[]
  readonly resources: readonly CompiledFixedResource[]
  readonly templates: readonly CompiledTemplate[]
  /** Every scope that something in the catalog asks for. */
  readonly scopes: ReadonlySet<string>
  /** What to declare to clients. */
  readonly has: {
    readonly tools: boolean
    readonly prompts: boolean
    readonly resources: boolean
    readonly completions: boolean
  }

  readonly #tools: ReadonlyMap<string, CompiledTool>
  readonly #prompts: ReadonlyMap<string, CompiledPrompt>
  readonly #resources: ReadonlyMap<string, FoundResource>
  readonly #templates: ReadonlyMap<string, CompiledTemplate>
  readonly #sortedScopes: readonly string[]
  readonly #keys = new WeakMap<ScopeSet, string>()
  readonly #views = new Map<string, View>()
  #chars = 0

  /** Takes entries with unique names, as `compileCatalog` proves them. */
  constructor(entries: { readonly [K in CatalogKind]: readonly CompiledKinds[K][] }) {
    this.tools = sorted(entries.tools)
    this.prompts = sorted(entries.prompts)
    this.resources = sorted(entries.resources)
    this.templates = sorted(entries.templates)
    this.#tools = new Map(this.tools.map((tool) => [tool.name, tool]))
    this.#prompts = new Map(this.prompts.map((prompt) => [prompt.name, prompt]))
    this.#resources = new Map(
      this.resources.map((resource) => [resource.uri, Object.freeze({ resource, variables: noVariables })]),
    )
    this.#templates = new Map(this.templates.map((template) => [template.uriTemplate, template]))
    const all = [...this.tools, ...this.prompts, ...this.resources, ...this.templates]
    this.#sortedScopes = [
      ...new Set(all.flatMap(({ requirement }) => (requirement === 'authenticated' ? [] : [requirement.scope]))),
    ].sort()
    this.scopes = new Set(this.#sortedScopes)
    this.has = Object.freeze({
      tools: this.tools.length > 0,
      prompts: this.prompts.length > 0,
      resources: this.resources.length + this.templates.length > 0,
      completions: [...this.prompts, ...this.templates].some(({ complete }) => complete.size > 0),
    })
    Object.freeze(this)
  }

  findTool(name: string): CompiledTool | undefined {
    return this.#tools.get(name)
  }

  findPrompt(name: string): CompiledPrompt | undefined {
    return this.#prompts.get(name)
  }

  /**
   * The resource at the URI, character for character: a fixed one first, else the first template in name order that
   * matches, whoever asks. Linear in the length of the URI.
   */
  findResource(uri: string): FoundResource | undefined {
    const fixed = this.#resources.get(uri)
    if (fixed !== undefined) return fixed
    if (uri.length > uriLengthMax) return undefined
    for (const resource of this.templates) {
      const variables = resource.template.match(uri)
      if (variables !== undefined) return { resource, variables }
    }
    return undefined
  }

  /** The template with exactly this text, as a completion request names it. */
  findTemplate(uriTemplate: string): CompiledTemplate | undefined {
    return this.#templates.get(uriTemplate)
  }

  /** What the principal's role may see, in name order. */
  visibleList<K extends CatalogKind>(kind: K, principal: Principal): readonly CompiledKinds[K][] {
    return this.#visible(this.#view(principal), kind, principal)
  }

  /** One page of what `visibleList` holds, as JSON. Past the end it is empty and the last. */
  listingPage(kind: CatalogKind, principal: Principal, start: number, size: number): ListingPage {
    const view = this.#view(principal)
    const key = `${kind} ${start} ${size}`
    const ready = view.pages.get(key)
    if (ready !== undefined) return ready
    const list: readonly CompiledBase[] = this.#visible(view, kind, principal)
    const end = start + size
    const page = Object.freeze({
      entries: list
        .slice(start, end)
        .map(({ listing }) => listing)
        .join(','),
      next: end < list.length ? end : undefined,
    })
    // Only pages that clients are really led to are kept, so that an odd start cannot fill the memory.
    if (start % size === 0 && start <= list.length) this.#keep(view, key, page)
    return page
  }

  #visible<K extends CatalogKind>(view: View, kind: K, principal: Principal): readonly CompiledKinds[K][] {
    const lists: { [L in K]?: readonly CompiledKinds[L][] } = view.lists
    const ready = lists[kind]
    if (ready !== undefined) return ready
    const all: readonly CompiledKinds[K][] = this[kind as CatalogKind] as never
    const list = Object.freeze(all.filter(({ requirement }) => visible(principal, requirement)))
    lists[kind] = list
    return list
  }

  /** Principals who see the same share one view; the one unused for longest gives way. */
  #view(principal: Principal): View {
    const key = this.#key(principal.granted)
    let view = this.#views.get(key)
    if (view === undefined) {
      view = { lists: {}, pages: new Map(), chars: 0 }
      if (this.#views.size >= viewsMax) this.#drop()
    } else {
      this.#views.delete(key)
    }
    this.#views.set(key, view)
    return view
  }

  /** The scopes of the catalog that are reached: all that the lists depend on, beside holding any scope at all. */
  #key(granted: ScopeSet): string {
    let key = this.#keys.get(granted)
    if (key === undefined) {
      key = `${granted.size > 0} ${this.#sortedScopes.filter((scope) => holds(granted, scope)).join(' ')}`
      this.#keys.set(granted, key)
    }
    return key
  }

  #keep(view: View, key: string, page: ListingPage): void {
    const chars = page.entries.length
    if (chars > pageCharsMax) return
    while (this.#chars + chars > pageCharsMax && this.#drop() !== view);
    // The view itself may have given way; then nothing is kept.
    if (view.chars < 0) return
    view.pages.set(key, page)
    view.chars += chars
    this.#chars += chars
  }

  #drop(): View | undefined {
    for (const [key, view] of this.#views) {
      this.#views.delete(key)
      this.#chars -= view.chars
      view.chars = -1
      return view
    }
    return undefined
  }
}

/** In the order of code units, so that it is the same on every machine. */
function sorted<T extends { readonly name: string }>(entries: readonly T[]): readonly T[] {
  return Object.freeze([...entries].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)))
}
