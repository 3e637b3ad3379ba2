import type { Awaitable, Params } from '../../call.ts'
import type { Catalog, CompiledTool } from '../../catalog/catalog.ts'
import { Content, isContent } from '../../catalog/content.ts'
import { isToolError } from '../../catalog/define.ts'
import { Fault } from '../../errors.ts'
import type { Target } from '../../method.ts'
import { isObject } from '../../wire/json.ts'
import { encodeToolFailure } from '../../wire/tool-failure.ts'
import { Context } from '../context.ts'
import type { Handler } from '../handler.ts'
import { checkRetry } from '../questions.ts'
import { encodeToolResult } from '../tool-result.ts'
import type { Turn } from '../turn.ts'

interface ToolTarget extends Target {
  readonly tool: CompiledTool
}

const targets = new WeakMap<CompiledTool, ToolTarget>()

/** What a call of a tool is about; made once for each tool. */
function targetOf(tool: CompiledTool): ToolTarget {
  let target = targets.get(tool)
  if (target === undefined) {
    target = {
      tool,
      requirement: tool.requirement,
      name: tool.name,
      headerParams: tool.headerParams,
      cost: tool.cost,
      ...(tool.concurrency === undefined ? {} : { concurrency: tool.concurrency }),
      check(params) {
        const args = params['arguments']
        if (args !== undefined && !isObject(args))
          throw new Fault('params.invalid', { says: 'arguments is not an object' })
        return tool.input.check(args ?? {})
      },
    }
    targets.set(tool, target)
  }
  return target
}

/** `tools/call`. */
export function toolCall(catalog: () => Catalog): Handler {
  return {
    name: 'tools/call',
    audit: 'tool_access',
    needsSession: true,
    target({ name }) {
      if (typeof name !== 'string') throw new Fault('params.invalid', { says: 'name is missing' })
      const tool = catalog().findTool(name)
      return tool === undefined ? undefined : targetOf(tool)
    },
    unknown: () => new Fault('tool.unknown'),
    run(turn) {
      const { tool } = turn.call.target as ToolTarget
      const { params } = turn.call.message
      if (isRetry(params) && !turn.call.envelope.revision.stateful) checkRetry(turn)
      if (tool.timeoutMs !== undefined) turn.deadline = turn.call.startedAt + tool.timeoutMs
      const fail = (thrown: unknown) => failed(turn, tool, thrown)
      try {
        const value: unknown = tool.run(turn.call.input, new Context(turn))
        if (value instanceof Promise) return value.then((later) => encode(turn, tool, later)).catch(fail)
        const encoded = encode(turn, tool, value)
        return encoded instanceof Promise ? encoded.catch(fail) : encoded
      } catch (thrown) {
        return fail(thrown)
      }
    },
  }
}

function isRetry(params: Params): boolean {
  return params['inputResponses'] !== undefined || params['requestState'] !== undefined
}

function encode(turn: Turn, tool: CompiledTool, value: unknown): Awaitable<string> {
  const { revision } = turn.call.envelope
  const built = isContent(value) ? value : undefined
  if (tool.output === undefined || built?.isError) return revision.result(encodeToolResult(value, false, revision))
  const checked = tool.output.check(built === undefined ? value : built.structured)
  const finish = (outcome: Awaited<typeof checked>): string => {
    if (outcome.ok) {
      // What is sent is what the schema kept: a property that it strips does not leave by another way.
      const sent = built === undefined ? outcome.value : new Content(built.content, outcome.value, false)
      return revision.result(encodeToolResult(sent, true, revision))
    }
    return failed(turn, tool, new Error(`the result does not fit the output schema: ${outcome.issues.join('; ')}`))
  }
  return checked instanceof Promise ? checked.then(finish) : finish(checked)
}

/** A tool's own failure is a result. What it says is for the caller only where the author threw a ToolError. */
function failed(turn: Turn, tool: CompiledTool, thrown: unknown): string {
  if (thrown instanceof Fault) throw thrown
  const { revision } = turn.call.envelope
  if (isToolError(thrown)) return revision.result(encodeToolFailure(thrown.message))
  const { requestId } = turn.call
  const { log, describeFailure } = turn.services
  const traceId = turn.call.envelope.trace?.traceId
  log.error({ requestId, traceId, tool: tool.name, failure: describeFailure(thrown) }, 'a tool failed')
  return revision.result(encodeToolFailure(`The tool failed. Request id: ${requestId}`))
}
