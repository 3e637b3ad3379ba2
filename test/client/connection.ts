import type { Params } from '../../packages/merlon/src/call.ts'

/** What the tests ask of a real client, whichever SDK is behind it. */
export interface Connection {
  /** The name of the server and the revision that were settled. */
  readonly server: { readonly name: string | undefined; readonly version: string | undefined }
  readonly revision: string | undefined
  readonly instructions: string | undefined
  toolNames(): Promise<string[]>
  resourceUris(): Promise<string[]>
  templates(): Promise<string[]>
  promptNames(): Promise<string[]>
  call(name: string, args?: Params, options?: CallOptions): Promise<CallResult>
  read(uri: string): Promise<string[]>
  prompt(name: string, args: Record<string, string>): Promise<unknown[]>
  completePrompt(name: string, argument: string, value: string): Promise<string[]>
  completeTemplate(uriTemplate: string, argument: string, value: string): Promise<string[]>
  /** Resolves when changes of the tool list and updates of the resource will be heard. */
  watch(uri: string): Promise<void>
  close(): Promise<void>
}

export interface CallOptions {
  readonly onProgress?: (progress: {
    progress: number
    total?: number | undefined
    message?: string | undefined
  }) => void
  readonly signal?: AbortSignal
}

export interface CallResult {
  readonly text: string
  readonly structured: unknown
  readonly isError: boolean
}

/** What reached a client. Its user always chooses blue, and its model always says yes. */
export interface Received {
  /** What was asked of the user, in words. */
  readonly asked: string[]
  /** What was asked of the model. */
  readonly sampled: unknown[]
  readonly toolsChanged: PromiseWithResolvers<void>
  readonly resourceUpdated: PromiseWithResolvers<string>
}

export function nothingReceived(): Received {
  return {
    asked: [],
    sampled: [],
    toolsChanged: Promise.withResolvers<void>(),
    resourceUpdated: Promise.withResolvers<string>(),
  }
}

export type Connect = (url: string, key: string, received: Received) => Promise<Connection>

/** The parts of a tool result that the tests look at. */
export function callResult(result: Params): CallResult {
  const [first] = Array.isArray(result.content) ? (result.content as { text?: unknown }[]) : []
  return {
    text: typeof first?.text === 'string' ? first.text : '',
    structured: result.structuredContent,
    isError: result.isError === true,
  }
}

export const sampled = { model: 'a-model', role: 'assistant', content: { type: 'text', text: 'yes' } } as const
export const chosen = { action: 'accept', content: { color: 'blue' } } as const
export const roots = [{ uri: 'file:///a/root', name: 'A root' }]

/** Resolves when the client has its stream for what the server says unasked: no notice can be missed after that. */
export function watchedFetch(): { fetch: typeof fetch; listening: Promise<void> } {
  const { promise: listening, resolve } = Promise.withResolvers<void>()
  return {
    listening,
    fetch: async (input, init) => {
      const response = await fetch(input, init)
      if (init?.method === 'GET' && response.ok) resolve()
      return response
    },
  }
}
