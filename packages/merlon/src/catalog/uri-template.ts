/** A family of URIs. Matching takes time linear in the URI and runs no regex made from input. */
export interface UriTemplate {
  readonly text: string
  /** In the order they appear. */
  readonly variables: readonly string[]
  /**
   * The decoded variables (null-prototype) where the URI is one the template could have made, else `undefined`. A value is
   * never empty and never holds a dot segment, a control character, a backslash, or a separator that was percent-encoded.
   */
  match(uri: string): Readonly<Record<string, string>> | undefined
}

/** `segment` is `{id}`, `path` is `{+path}` and the part of `{/path*}` after its slash. */
interface Variable {
  readonly name: string
  readonly many: boolean
}

const templateLengthMax = 1_024
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/
const literalText = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]*$/
const beginsWithScheme = /^[A-Za-z][A-Za-z0-9+.-]*:/

/**
 * Compiles a template of RFC 6570: literals, `{id}` (one segment), `{+path}` (segments joined by `/`), `{/id}` and
 * `{/path*}` (the same after a `/`). Throws an Error that tells the author what is not understood.
 *
 * A variable ends where the literal after it first begins; the last literal is the end of the URI. Hence two variables
 * need something between them, and `{a}.{b}` reads `x.y.z` as `x` and `y.z`. Values are percent-decoded once.
 */
export function compileUriTemplate(text: string): UriTemplate {
  const { literals, variables } = parse(text)
  const prefix = literals[0]!
  const suffix = literals.at(-1)!
  const names = Object.freeze(variables.map(({ name }) => name))

  const match = (uri: string): Readonly<Record<string, string>> | undefined => {
    if (variables.length === 0) return uri === text ? Object.create(null) : undefined
    if (uri.length < prefix.length + suffix.length || !uri.startsWith(prefix) || !uri.endsWith(suffix)) return undefined
    const end = uri.length - suffix.length
    const values: Record<string, string> = Object.create(null)
    let at = prefix.length
    for (let i = 0; i < variables.length; i++) {
      const last = i === variables.length - 1
      // At least one character belongs to the variable.
      const stop = last ? end : uri.indexOf(literals[i + 1]!, at + 1)
      if (stop <= at || stop > end) return undefined
      const value = decodeValue(uri.slice(at, stop), variables[i]!.many)
      if (value === undefined) return undefined
      values[variables[i]!.name] = value
      at = last ? end : stop + literals[i + 1]!.length
    }
    return values
  }
  return Object.freeze({ text, variables: names, match })
}

/** Splits into literals and the variables between them: one literal more than variables. */
function parse(text: string): { literals: string[]; variables: Variable[] } {
  if (text.length > templateLengthMax) throw new Error(`the template is longer than ${templateLengthMax} characters`)
  if (!beginsWithScheme.test(text)) throw new Error('the template does not begin with a scheme, such as note:')
  const literals: string[] = ['']
  const variables: Variable[] = []
  let at = 0
  while (at < text.length) {
    const open = text.indexOf('{', at)
    const literal = text.slice(at, open < 0 ? text.length : open)
    if (!literalText.test(literal)) throw new Error(`the template holds a character that no URI has: ${literal}`)
    literals[literals.length - 1] += literal
    if (open < 0) break
    const close = text.indexOf('}', open)
    if (close < 0) throw new Error('the template opens a { that it does not close')
    const expression = text.slice(open + 1, close)
    const { name, many, slash } = parseExpression(expression)
    if (slash) literals[literals.length - 1] += '/'
    if (variables.length > 0 && literals.at(-1) === '')
      throw new Error(`the template has nothing between {${variables.at(-1)!.name}} and {${expression}}`)
    if (variables.some((variable) => variable.name === name)) throw new Error(`the template names {${name}} twice`)
    variables.push({ name, many })
    literals.push('')
    at = close + 1
  }
  return { literals, variables }
}

function parseExpression(expression: string): Variable & { slash: boolean } {
  const operator = /^[A-Za-z_]/.test(expression) ? '' : expression.slice(0, 1)
  const exploded = expression.endsWith('*')
  const name = expression.slice(operator.length, exploded ? -1 : undefined)
  const known = operator === '' || operator === '+' ? !exploded : operator === '/'
  if (!known || !variableName.test(name))
    throw new Error(`the template holds {${expression}}; understood are {id}, {+path}, {/id} and {/path*}`)
  return { name, many: operator === '+' || exploded, slash: operator === '/' }
}

/** RFC 3986 `pchar`, the percent sign included: 1 for what may stand in a segment. */
const segmentCharacters = new Uint8Array(128)
for (const c of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@%")
  segmentCharacters[c.charCodeAt(0)] = 1

const slash = 0x2f

/** The value that was written, or `undefined` where it is not well formed or could name something outside its place. */
function decodeValue(raw: string, many: boolean): string | undefined {
  let encoded = false
  let previous = slash
  for (let i = 0; i < raw.length; i++) {
    const c = raw.charCodeAt(i)
    if (c === slash) {
      // An empty segment would make the value absolute, or a network path.
      if (!many || previous === slash) return undefined
    } else if (c > 127 || segmentCharacters[c] === 0) return undefined
    else if (c === 0x25) encoded = true
    previous = c
  }
  if (previous === slash) return undefined
  const value = encoded ? decodeOnce(raw) : raw
  if (value === undefined || (value.includes('.') && hasDotSegment(value))) return undefined
  return value
}

/** RFC 3986 §2.4, once and strictly: UTF-8 in its shortest form, and nothing that changes the shape of the path. */
function decodeOnce(raw: string): string | undefined {
  // A dot needs no encoding (RFC 3986 §2.3); who encodes it, or `/`, `\` or `%` before such, hides it from a check.
  if (/%(?:25)*(?:2e|2f|5c|[01][0-9a-f]|7f)/i.test(raw)) return undefined
  try {
    return decodeURIComponent(raw)
  } catch {
    return undefined
  }
}

function hasDotSegment(value: string): boolean {
  return value.split('/').some((segment) => segment === '.' || segment === '..')
}
