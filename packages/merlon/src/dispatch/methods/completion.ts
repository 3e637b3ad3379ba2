import type { Params } from '../../call.ts'
import type { Catalog } from '../../catalog/catalog.ts'
import type { Complete } from '../../catalog/define.ts'
import { Fault } from '../../errors.ts'
import type { Target } from '../../method.ts'
import type { Requirement } from '../../policy/decide.ts'
import { isObject } from '../../wire/json.ts'
import { Context } from '../context.ts'
import type { Handler } from '../handler.ts'
import type { Turn } from '../turn.ts'

interface CompletionTarget extends Target {
  readonly complete: Complete | undefined
}

/** Most values in one answer (server/utilities/completion, "Completion Results"). */
const valuesMax = 100

/** `completion/complete`: whoever may not see a prompt or template is told the same as for one that is not there. */
export function completion(catalog: () => Catalog): Handler {
  return {
    name: 'completion/complete',
    audit: 'access',
    needsSession: true,
    target(params): CompletionTarget | undefined {
      const { ref, argument } = params
      if (
        !isObject(ref) ||
        !isObject(argument) ||
        typeof argument['name'] !== 'string' ||
        typeof argument['value'] !== 'string'
      ) {
        throw new Fault('params.invalid', { says: 'ref and argument are needed' })
      }
      const found = referred(catalog(), ref)
      if (found === undefined) return undefined
      return { requirement: found.requirement, name: found.name, complete: found.complete.get(argument['name']) }
    },
    unknown: ({ ref }) =>
      isObject(ref) && ref['type'] === 'ref/resource'
        ? new Fault('resource.unknown', { data: { uri: ref['uri'] } })
        : new Fault('prompt.unknown'),
    run: complete,
  }
}

function referred(
  catalog: Catalog,
  ref: Params,
): { name: string; requirement: Requirement; complete: ReadonlyMap<string, Complete> } | undefined {
  const { type, name, uri } = ref
  if (type === 'ref/prompt' && typeof name === 'string') return catalog.findPrompt(name)
  if (type !== 'ref/resource' || typeof uri !== 'string') throw new Fault('params.invalid', { says: 'unknown ref' })
  const template = catalog.findTemplate(uri)
  if (template !== undefined) return template
  const resource = catalog.findResource(uri)?.resource
  return resource === undefined
    ? undefined
    : { name: resource.name, requirement: resource.requirement, complete: noCompleters }
}

const noCompleters: ReadonlyMap<string, Complete> = new Map()

async function complete(turn: Turn): Promise<string> {
  const { complete } = turn.call.target as CompletionTarget
  const { argument, context } = turn.call.message.params as { argument: { value: string }; context?: unknown }
  const resolved = isObject(context) && isObject(context['arguments']) ? context['arguments'] : {}
  const known: Record<string, string> = Object.create(null)
  for (const [name, value] of Object.entries(resolved)) if (typeof value === 'string') known[name] = value
  const all = complete === undefined ? [] : await complete(argument.value, { arguments: known }, new Context(turn))
  const values = all.slice(0, valuesMax)
  return turn.call.envelope.revision.result(
    `"completion":${JSON.stringify({ values, total: all.length, hasMore: all.length > values.length })}`,
  )
}
