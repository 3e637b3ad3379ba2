import { WebSocketClientTransport } from 'merlon/client'
import type { Connect } from './connection.ts'
import { openV1 } from './sdk-v1.ts'
import { type Mode, openV2 } from './sdk-v2.ts'

const heard = Promise.resolve()
const stay = async () => {}

/** The clients over WebSocket, with the transport of the package. */
export const socketV1: Connect = (url, key, received) =>
  openV1(new WebSocketClientTransport(url, { headers: { Authorization: `Bearer ${key}` } }), received, heard, stay)

export const socketV2 =
  (mode: Mode): Connect =>
  (url, key, received) =>
    openV2(mode, new WebSocketClientTransport(url, { headers: { 'X-API-Key': key } }), received, heard, stay)
