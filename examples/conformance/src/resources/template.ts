import { defineResource } from 'merlon'

export default defineResource({
  name: 'template',
  title: 'Template',
  description: 'Data for any id.',
  uriTemplate: 'test://template/{id}/data',
  mimeType: 'application/json',
  read: (_uri, { id }) => JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
})
