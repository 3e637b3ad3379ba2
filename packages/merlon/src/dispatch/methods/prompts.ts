import type { Params } from '../../call.ts'
import type { Catalog, CompiledPrompt } from '../../catalog/catalog.ts'
import type { Checked } from '../../catalog/schema.ts'
import { Fault } from '../../errors.ts'
import type { Target } from '../../method.ts'
import { isObject } from '../../wire/json.ts'
import { Context } from '../context.ts'
import type { Handler } from '../handler.ts'
import { checkRetry } from '../questions.ts'
import type { Turn } from '../turn.ts'

interface PromptTarget extends Target {
  readonly prompt: CompiledPrompt
}

export function promptGet(catalog: () => Catalog): Handler {
  return {
    name: 'prompts/get',
    audit: 'access',
    needsSession: true,
    target({ name }): PromptTarget | undefined {
      if (typeof name !== 'string') throw new Fault('params.invalid', { says: 'name is missing' })
      const prompt = catalog().findPrompt(name)
      if (prompt === undefined) return undefined
      return { prompt, name, requirement: prompt.requirement, check: (params) => checkPromptArguments(prompt, params) }
    },
    unknown: () => new Fault('prompt.unknown'),
    run: get,
  }
}

/** Arguments of a prompt are named strings; what is missing or not declared is refused. */
function checkPromptArguments(prompt: CompiledPrompt, { arguments: given = {} }: Params): Checked {
  if (!isObject(given)) return { ok: false, issues: ['arguments: expected an object'] }
  const issues: string[] = []
  const value: Record<string, string> = Object.create(null)
  const names = new Set(prompt.arguments.map(({ name }) => name))
  for (const [name, text] of Object.entries(given)) {
    if (!names.has(name)) issues.push(`${name.slice(0, 64)}: no such argument`)
    else if (typeof text !== 'string') issues.push(`${name}: expected a string`)
    else value[name] = text
  }
  for (const { name, required } of prompt.arguments) if (required && !(name in given)) issues.push(`${name}: missing`)
  return issues.length === 0 ? { ok: true, value } : { ok: false, issues: issues.slice(0, 20) }
}

async function get(turn: Turn): Promise<string> {
  const { prompt } = turn.call.target as PromptTarget
  const { inputResponses, requestState } = turn.call.message.params
  if (!turn.call.envelope.revision.stateful && (inputResponses ?? requestState) !== undefined) checkRetry(turn)
  const got = await prompt.get(turn.call.input as Record<string, string>, new Context(turn))
  return turn.call.envelope.revision.result(encodePrompt(got))
}

function encodePrompt(got: Awaited<ReturnType<CompiledPrompt['get']>>): string {
  if (typeof got === 'string') return encodePrompt([{ role: 'user', content: { type: 'text', text: got } }])
  if (!('messages' in got)) return `"messages":${JSON.stringify(got)}`
  const messages = `"messages":${JSON.stringify(got.messages)}`
  return got.description === undefined ? messages : `"description":${JSON.stringify(got.description)},${messages}`
}
