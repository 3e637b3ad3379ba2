import { Redis } from 'ioredis'

/** A server that answers takes its time in microseconds; one that is frozen must not hold a call for long. */
const commandTimeoutMs = 500
const connectTimeoutMs = 2_000
const silentMs = 3_000
const reconnectMsMax = 1_000

/**
 * A connection that fails at once where there is none, and is made again by itself. Nothing waits in a queue: who asks is
 * told that it is gone. `rediss:` speaks TLS.
 */
export function connectRedis(url: string): Redis {
  const client = new Redis(url, {
    lazyConnect: true,
    connectionName: 'merlon',
    disableClientInfo: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: commandTimeoutMs,
    connectTimeout: connectTimeoutMs,
    // A connection that died without a word is given up.
    socketTimeout: silentMs,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), reconnectMsMax),
    // After a failover the old primary refuses to be written to.
    reconnectOnError: ({ message }) => message.startsWith('READONLY'),
  })
  // Who asks is told; without a listener each failed attempt would be printed, address and all.
  client.on('error', () => undefined)
  return client
}

/**
 * What went wrong, without what was sent: an error of the client carries the command, which may be the password, and its
 * sentence may be anybody's.
 */
export function redisFailure(cause: unknown): Error {
  const error = cause instanceof Error ? cause : new Error('unknown')
  const code = (error as NodeJS.ErrnoException).code
  if (typeof code === 'string' && /^[A-Z_]{1,40}$/.test(code)) return new Error(`Redis: ${code}`)
  if (error.message === 'Command timed out') return new Error('Redis: no answer in time')
  // The first word of what Redis refuses with: NOAUTH, WRONGPASS, READONLY, OOM, LOADING.
  const word = /^[A-Z]{2,20}(?= )/.exec(error.message)?.[0]
  return new Error(word === undefined ? 'Redis: not connected' : `Redis: ${word}`)
}
