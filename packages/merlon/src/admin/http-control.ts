import { type IncomingHttpHeaders, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { reachable } from '../control-socket.ts'
import { Fault } from '../errors.ts'
import { type Control, type ControlAnswer, type ControlInput, ControlRefusal, type Problem } from './control.ts'
import { segmentPattern } from './operation.ts'
import { operationsByName } from './operations.ts'
import { problemOf } from './problem.ts'

/** Where a control plane is: the socket in a data folder, or an address with the credential that it asks for. */
export type ControlPlace = { readonly socket: string } | { readonly url: URL; readonly credential: string | undefined }

/** There was no answer, or none of a control plane. */
export class ControlUnreachable extends Error {
  /**
   * `absent`: nobody listens there, and nothing was asked. `lost`: it was asked and did not answer, so what was asked may
   * have been done. `foreign`: something answered that is no control plane.
   */
  readonly how: 'absent' | 'lost' | 'foreign'

  constructor(how: 'absent' | 'lost' | 'foreign', cause?: unknown) {
    super(`the control plane is ${how}`, { cause })
    this.name = 'ControlUnreachable'
    this.how = how
  }
}

const silenceMsMax = 60_000
const answerLengthMax = 64 * 1024 * 1024

/** The control plane behind a socket or an address. It follows no redirect: the credential goes where it was told to go. */
export function httpControl(place: ControlPlace): Control {
  return {
    async call(name, input = {}) {
      const operation = operationsByName.get(name)
      if (operation === undefined) throw new Error(`there is no operation ${name}`)
      const answer = await exchange(place, {
        method: operation.method,
        target: targetOf(operation.path, input),
        headers: {
          ...(input.version === undefined ? {} : { 'If-Match': `"${input.version}"` }),
          ...(input.attempt === undefined ? {} : { 'Idempotency-Key': input.attempt }),
        },
        body: input.body === undefined ? undefined : JSON.stringify(input.body),
        take: operation.media === undefined ? undefined : input.take,
      })
      return read(answer, operation.status)
    },
    async close() {},
  }
}

function targetOf(path: string, { params = {}, query = {} }: ControlInput): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, part: string) => segmentOf(params[part] ?? ''))
  const search = new URLSearchParams(
    Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
  ).toString()
  return search === '' ? filled : `${filled}?${search}`
}

/** What could not stand in a path is the id of nothing. */
function segmentOf(id: string): string {
  if (segmentPattern.test(id)) return id
  throw new ControlRefusal(problemOf(new Fault('entry.unknown'), undefined))
}

interface Request {
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly take: ControlInput['take']
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Undefined where it was handed on. */
  readonly text: string | undefined
}

async function exchange(place: ControlPlace, { method, target, headers, body, take }: Request): Promise<Answer> {
  const given = {
    ...headers,
    Accept: 'application/json, application/problem+json, */*',
    ...(body === undefined
      ? {}
      : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(body)) }),
  }
  if ('socket' in place) {
    const socket = reachable(place.socket)
    try {
      const options = { socketPath: socket.path, method, path: target, headers: { Host: 'localhost', ...given } }
      return await send(requestHttp({ ...options, agent: false, timeout: silenceMsMax }), body, take)
    } finally {
      socket.release()
    }
  }
  const { url, credential } = place
  const request = url.protocol === 'https:' ? requestHttps : requestHttp
  return send(
    request(url, {
      method,
      path: target,
      headers: credential === undefined ? given : { ...given, Authorization: `Bearer ${credential}` },
      agent: false,
      timeout: silenceMsMax,
    }),
    body,
    take,
  )
}

function send(
  request: ReturnType<typeof requestHttp>,
  body: string | undefined,
  take: ControlInput['take'],
): Promise<Answer> {
  return new Promise((answered, failed) => {
    let connected = false
    request.on('socket', (socket) => {
      socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => {
        connected = true
      })
    })
    request.on('timeout', () => request.destroy(new Error('it did not answer in time')))
    request.on('error', (cause) => failed(new ControlUnreachable(connected ? 'lost' : 'absent', cause)))
    request.on('response', (response) => {
      const { statusCode: status = 0, headers } = response
      const handed = status === 200 ? take : undefined
      receive(response, handed).then((text) => answered({ status, headers, text }), failed)
    })
    request.end(body)
  })
}

/** The whole of an answer, or nothing where it is handed on piece by piece. */
async function receive(response: IncomingMessage, take: ControlInput['take']): Promise<string | undefined> {
  response.setEncoding('utf8')
  const pieces = (response as AsyncIterable<string>)[Symbol.asyncIterator]()
  let text = ''
  try {
    for (;;) {
      const { done, value } = await pieces.next().catch((cause: unknown) => {
        throw new ControlUnreachable('lost', cause)
      })
      if (done) return take === undefined ? text : undefined
      if (take !== undefined) await take(value)
      else if (text.length + value.length > answerLengthMax) throw new ControlUnreachable('foreign')
      else text += value
    }
  } finally {
    response.destroy()
  }
}

function read({ status, headers, text }: Answer, expected: number): ControlAnswer {
  const type = (headers['content-type'] ?? '').split(';', 1)[0]?.trim()
  if (type === 'application/problem+json') {
    const problem = parse(text ?? '')
    if (isProblem(problem)) throw new ControlRefusal(problem)
  }
  if (status !== expected) throw new ControlUnreachable('foreign')
  if (status === 204 || text === undefined) return { status, body: undefined }
  return { status, body: type === 'application/json' ? parse(text) : text }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ControlUnreachable('foreign', cause)
  }
}

function isProblem(value: unknown): value is Problem {
  if (typeof value !== 'object' || value === null) return false
  const { title, code, status } = value as Partial<Record<string, unknown>>
  return typeof title === 'string' && typeof code === 'string' && typeof status === 'number'
}
