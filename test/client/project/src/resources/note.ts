import { defineResource } from 'merlon'

const notes = new Map([
  ['monday', 'Buy bread.'],
  ['tuesday', 'Bake bread.'],
])

export default defineResource({
  name: 'note',
  description: 'The note of a day.',
  uriTemplate: 'note://day/{day}',
  mimeType: 'text/plain',
  complete: { day: (value) => [...notes.keys()].filter((day) => day.startsWith(value)) },
  read: (_uri, { day }) => notes.get(day ?? ''),
})
