import type { Migration } from '../migrations.ts'

/** Whose letters they are, by a digest, so that one principal or one tenant cannot take the room of all. */
export const mailOwners: Migration = {
  name: '0011-mail-owners',
  statements: ({ bytes }) => [
    `alter table mail add column owner ${bytes} check (owner is null or length(owner) = 32)`,
    'create index mail_tenant on mail (tenant)',
  ],
}
