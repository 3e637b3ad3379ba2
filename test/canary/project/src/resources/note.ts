import { defineResource } from 'merlon'

export default defineResource({
  name: 'note',
  description: 'A note, by its name.',
  uriTemplate: 'note://{name}',
  complete: { name: (begun) => [`${begun}-more`] },
  read(_uri, { name = '' }) {
    if (name.startsWith('bad')) throw new Error(`no note ${name}`)
    return `the note ${name}`
  },
})
