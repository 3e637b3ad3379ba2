import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Answer {
  readonly status: number
  readonly etag: string | undefined
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by tests that know them
  readonly body: any
}

/** Asks the control plane: over the socket of the data folder as the local operator, or at an address as a stranger. */
export async function ask(
  place: { readonly socketPath: string } | { readonly url: string },
  method: string,
  path: string,
  { body, headers = {} }: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Answer> {
  const payload = body === undefined ? undefined : JSON.stringify(body)
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const options = {
    method,
    agent: false,
    headers: {
      Host: 'socketPath' in place ? 'localhost' : new URL(place.url).host,
      ...(payload === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': payload.length }),
      ...headers,
    },
  } as const
  const sent =
    'socketPath' in place
      ? request({ ...options, socketPath: place.socketPath, path }, resolve)
      : request(new URL(path, place.url), options, resolve)
  sent.on('error', reject)
  sent.end(payload)
  const response = await promise
  const answered = await text(response)
  return {
    status: response.statusCode ?? 0,
    etag: response.headers.etag,
    text: answered,
    body: answered.startsWith('{') ? (JSON.parse(answered) as unknown) : undefined,
  }
}
