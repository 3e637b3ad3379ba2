import { type Content, isContent } from '../catalog/content.ts'
import { isObject } from '../wire/json.ts'
import type { Revision } from '../wire/revision.ts'
import { textMember } from '../wire/tool-failure.ts'

/** The members of a tools/call result, without braces, from whatever the handler returned. */
export function encodeToolResult(value: unknown, structured: boolean, revision: Revision): string {
  if (typeof value === 'string') return textMember(value)
  if (isContent(value)) return encodeContent(value, revision)
  if (value === undefined) return '"content":[]'
  const json = JSON.stringify(value)
  if (json === undefined) throw new TypeError(`a tool returned a ${typeof value}, which is no JSON value`)
  const member = textMember(json)
  return structured && mayBeStructured(value, revision) ? `${member},"structuredContent":${json}` : member
}

/** Up to 2025-11-25 structured content is an object; what is none goes as text alone there. */
function mayBeStructured(value: unknown, revision: Revision): boolean {
  return value !== undefined && (!revision.stateful || isObject(value))
}

function encodeContent(value: Content, revision: Revision): string {
  let members = `"content":${JSON.stringify(value.content)}`
  if (mayBeStructured(value.structured, revision)) members += `,"structuredContent":${JSON.stringify(value.structured)}`
  return value.isError ? `${members},"isError":true` : members
}
