import { defineResource } from 'merlon'

export default defineResource({
  name: 'thing',
  uriTemplate: 'thing://{id}',
  mimeType: 'text/plain',
  read: (_uri, { id }) => `thing ${id}`,
})
