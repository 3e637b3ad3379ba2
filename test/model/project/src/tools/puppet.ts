import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { defineTool } from 'merlon'
import * as z from 'zod'
import type { Order, Report } from '../../../puppets.ts'

const color = z.object({ color: z.string() })

export default defineTool({
  name: 'puppet',
  description: 'Does what the test says over a connection of its own, for as long as the test wants.',
  input: z.strictObject({ label: z.string() }),
  scope: 'read',
  run: async ({ label }, ctx) => {
    const socket = connect(Number(process.env['MODEL_PUPPETS']), '127.0.0.1')
    const report = (line: Report) => socket.write(`${JSON.stringify(line)}\n`)
    ctx.signal.addEventListener('abort', () => socket.end(), { once: true })
    socket.on('error', () => socket.destroy())
    report({ label })
    let said = 0
    try {
      for await (const line of createInterface({ input: socket })) {
        const order = JSON.parse(line) as Order
        if (order.act === 'finish') return order.text
        if (order.act === 'say') for (const text of order.texts) ctx.progress(++said, undefined, text)
        if (order.act === 'ask')
          ctx.elicit({ message: order.text, schema: color }).then(
            (answer) => report({ answer: answer.action === 'accept' ? answer.content.color : answer.action }),
            () => report({ answer: 'none' }),
          )
        report({ done: true })
      }
      return 'the test has left'
    } finally {
      socket.end()
    }
  },
})
