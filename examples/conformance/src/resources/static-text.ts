import { defineResource } from 'merlon'

export default defineResource({
  name: 'static-text',
  title: 'Static text',
  description: 'A text that never changes.',
  uri: 'test://static-text',
  mimeType: 'text/plain',
  read: () => 'This is the content of the static text resource.',
})
