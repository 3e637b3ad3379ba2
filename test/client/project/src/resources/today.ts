import { defineResource } from 'merlon'

export default defineResource({
  name: 'today',
  description: "Today's note.",
  uri: 'note://today',
  mimeType: 'text/plain',
  read: () => 'Water the plants.',
})
