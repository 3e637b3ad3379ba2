import type { Migration } from '../migrations.ts'

/** The keys of the installation itself, one for each purpose, wrapped by the root key: so that another can take its place. */
export const keptKeys: Migration = {
  name: '0008-kept-keys',
  statements: ({ text, integer, bytes, end }) => [
    `create table kept_keys (
      purpose ${text} primary key,
      root ${text} not null,
      wrapped ${bytes} not null,
      derived_from ${text},
      created_at ${integer} not null
    )${end}`,
  ],
}
