import { defineTool } from 'merlon'

export default defineTool({
  name: 'broken',
  description: 'Throws what it is given, as the errors of tools do.',
  input: { type: 'object' },
  scope: 'read',
  run({ text }) {
    const cause = new Error(`cannot reach https://user:${text}@db.example`)
    const says = `no such note: ${text}\n    at ${text} (file:///${text}:1:1)`
    throw Object.assign(new TypeError(says, { cause }), { query: text, input: { text } })
  },
})
