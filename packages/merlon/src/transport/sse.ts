/** Server-sent events (WHATWG HTML §9.2), written so that no value can begin a second event. */

/** One event whose data is a JSON text, which has no line ends of its own. */
export function encodeEvent(json: string, id: string | undefined): string {
  const data = json.includes('\n') || json.includes('\r') ? json.replace(/\r\n|\r|\n/g, '\ndata: ') : json
  return id === undefined ? `event: message\ndata: ${data}\n\n` : `id: ${id}\nevent: message\ndata: ${data}\n\n`
}

/** An event without a message, for its id and for how long to wait before a resume. */
export function encodePriming(id: string, retryMs: number): string {
  return `id: ${id}\nretry: ${Math.trunc(retryMs)}\ndata: \n\n`
}

/** A comment: readers ignore it, and nobody between takes the connection for dead. */
export const heartbeat = ':\n\n'
