import { defineResource } from 'merlon'
import { bytesOf } from '../ledger.ts'

const many = Array.from({ length: 500 }, (_, at) => `note-${at}`)

export const note = defineResource({
  name: 'note',
  uriTemplate: 'note://{id}',
  mimeType: 'text/plain',
  complete: { id: (value) => many.filter((id) => id.startsWith(value)) },
  read: (_uri, { id }, ctx) => (id === 'missing' ? undefined : `${bytesOf(ctx.principal.tenant)} in note ${id}`),
})

export const user = defineResource({
  name: 'user',
  uriTemplate: 'user://{/path*}',
  mimeType: 'text/plain',
  read: (_uri, { path }) => `user ${path}`,
})

export const ledgerBook = defineResource({
  name: 'admin-ledger',
  uri: 'ledger://admin',
  scope: 'admin',
  read: () => 'only for administrators',
})

export const vaulted = defineResource({
  name: 'vaulted',
  uriTemplate: 'vault://{door}',
  scope: 'vault:open',
  complete: { door: () => ['front', 'back'] },
  read: () => 'open',
})
