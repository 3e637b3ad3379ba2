import { randomBytes } from 'node:crypto'
import { setFlagsFromString, writeHeapSnapshot } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { openServer } from '../../packages/merlon/src/app.ts'

/*
 * A server in a process of its own whose session ids begin with bytes that can be looked for. It is given their complement,
 * so that nothing here holds them but what serves; and it writes down its heap when it is told to.
 */

const complement = process.env['BRAND_COMPLEMENT'] ?? ''
const brand = Buffer.from(complement, 'hex').map((byte) => ~byte & 0xff)
const sessionIdBytes = 32

const server = await openServer({
  project: process.argv[2] ?? '',
  random(size) {
    const bytes = randomBytes(size)
    if (size === sessionIdBytes) bytes.set(brand)
    return bytes
  },
})

process.on('message', ({ snapshot }: { snapshot?: string }) => {
  if (snapshot === undefined) return void server.close().then(() => process.disconnect())
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  // What finalizers let go of is collected by the next.
  collect()
  setImmediate(() => {
    collect()
    writeHeapSnapshot(snapshot)
    process.send?.({ written: snapshot })
  })
})
process.send?.({ url: server.url, key: server.firstStart?.key, socket: server.control.socket })
