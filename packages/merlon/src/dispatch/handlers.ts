import type { Catalog } from '../catalog/catalog.ts'
import type { Handler } from './handler.ts'
import { completion } from './methods/completion.ts'
import { discover, initialize, ping, setLevel } from './methods/lifecycle.ts'
import { listHandlers } from './methods/lists.ts'
import { promptGet } from './methods/prompts.ts'
import { resourceHandlers } from './methods/resources.ts'
import { listen } from './methods/subscriptions.ts'
import { toolCall } from './methods/tools.ts'

export interface Handlers {
  readonly stateless: ReadonlyMap<string, Handler>
  readonly stateful: ReadonlyMap<string, Handler>
}

/** Every method of every revision. A method that is not here does not exist. */
export function handlersFor(catalog: () => Catalog): Handlers {
  const [read, subscribe, unsubscribe] = resourceHandlers(catalog) as [Handler, Handler, Handler]
  const both = [...listHandlers, toolCall(catalog), promptGet(catalog), read, completion(catalog)]
  return {
    stateless: byName([...both, discover, listen]),
    stateful: byName([...both, subscribe, unsubscribe, initialize, ping, setLevel]),
  }
}

function byName(handlers: readonly Handler[]): ReadonlyMap<string, Handler> {
  return new Map(handlers.map((handler) => [handler.name, handler]))
}
