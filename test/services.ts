import { type AddressInfo, createServer } from 'node:net'
import type { TestProject } from 'vitest/node'
import { startPostgres } from './postgres.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A port of 127.0.0.1 that tells a test where PostgreSQL is, and starts it when the first test asks. */
    postgresBroker: number
  }
}

/** What the broker answers: one JSON line. */
export type PostgresAnswer = { readonly url: string } | { readonly reason: string }

interface Found {
  readonly answer: PostgresAnswer
  stop(): Promise<void>
}

/** Global set-up of vitest: the servers that tests need, started when first asked for and stopped at the end of the run. */
export default async function services(project: TestProject): Promise<() => Promise<void>> {
  let postgres: Promise<Found> | undefined
  const broker = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    postgres ??= findPostgres()
    void postgres.then(({ answer }) => socket.end(`${JSON.stringify(answer)}\n`))
  })
  await new Promise<void>((listening) => broker.listen(0, '127.0.0.1', listening))
  project.provide('postgresBroker', (broker.address() as AddressInfo).port)
  return async () => {
    broker.close()
    await (await postgres)?.stop()
  }
}

async function findPostgres(): Promise<Found> {
  const asked = process.env['TEST_DATABASE_URL']
  if (asked !== undefined && asked !== '') return { answer: { url: asked }, stop: async () => undefined }
  try {
    const server = await startPostgres()
    return { answer: { url: server.url }, stop: server.close }
  } catch (error) {
    return { answer: { reason: (error as Error).message }, stop: async () => undefined }
  }
}
