import type { Fault } from '../errors.ts'
import type { FieldError, Problem } from './control.ts'

/**
 * A refusal as a client sees it (RFC 9457). Two refusals of one kind are the same bytes: the id of the request is told only
 * where we failed, and there it is what the operator will ask for.
 */
export function problemOf(fault: Fault, requestId: string | undefined): Problem {
  const { http, code, says } = fault.spec
  const { says: detail, data } = fault.detail
  const errors = data?.['errors'] as readonly FieldError[] | undefined
  return {
    type: `urn:merlon:problem:${fault.code}`,
    title: says,
    status: http,
    code,
    ...(detail === undefined ? {} : { detail }),
    ...(errors === undefined ? {} : { errors }),
    ...(http < 500 || requestId === undefined ? {} : { requestId }),
  }
}
