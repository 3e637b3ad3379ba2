import { defineResource } from 'merlon'

export default defineResource({
  name: 'watched-resource',
  title: 'Watched resource',
  description: 'A text that a client may subscribe to.',
  uri: 'test://watched-resource',
  mimeType: 'text/plain',
  read: () => 'Watched resource content',
})
