import type { HeaderParam } from '../catalog/header-params.ts'
import type { Checked } from '../catalog/schema.ts'
import { Fault } from '../errors.ts'
import { decodeHeaderValue } from '../wire/header-value.ts'
import { isObject } from '../wire/json.ts'
import type { Envelope } from '../wire/revision.ts'
import { type Authorized, paramsOf } from './authorize.ts'
import { type Guard, proved } from './chain.ts'
import type { Arrival, Decoded } from './gate.ts'

/** Holds parameters that are mirrored into headers against the body (2026-07-28, "Server Behavior for Custom Headers"). */
export const checkParamHeaders: Guard<Arrival & Decoded & Authorized & { readonly envelope: Envelope }, object> = (
  call,
) => {
  const params = call.target?.headerParams
  if (params === undefined || params.length === 0 || call.envelope.revision.stateful) return proved
  const args = paramsOf(call.message)['arguments']
  for (const param of params) {
    const header = call.head.headers[param.header]
    if (!agrees(param, typeof header === 'string' ? header : undefined, valueAt(args, param.path))) {
      throw new Fault('header.mismatch', { says: `${param.header} is missing or differs.`, reason: param.header })
    }
  }
  return proved
}

function agrees(param: HeaderParam, header: string | undefined, value: unknown): boolean {
  if (value === undefined || value === null) return header === undefined
  if (header === undefined) return false
  const decoded = decodeHeaderValue(header)
  if (decoded === undefined) return false
  if (param.type === 'integer' && typeof value === 'number')
    return /^-?[0-9]+(?:\.0+)?$/.test(decoded) && Number(decoded) === value
  return decoded === String(value)
}

/** Reads own properties only, so that a path cannot reach a prototype. */
function valueAt(args: unknown, path: readonly string[]): unknown {
  let value = args
  for (const step of path) {
    if (!isObject(value) || !Object.hasOwn(value, step)) return undefined
    value = value[step]
  }
  return value
}

/** Checks the arguments against the schema, last: only now is it worth the work. The handler gets what the check returns. */
export const checkArguments: Guard<Decoded & Authorized, { readonly input: unknown }> = ({ target, message }) => {
  if (target?.check === undefined) return noInput
  const checked = target.check(paramsOf(message))
  return checked instanceof Promise ? checked.then(accepted) : accepted(checked)
}

const noInput: { readonly input: unknown } = Object.freeze({ input: undefined })

function accepted(checked: Checked): { input: unknown } {
  if (!checked.ok)
    throw new Fault('arguments.invalid', { says: checked.issues.join('; '), data: { issues: checked.issues } })
  return { input: checked.value }
}
