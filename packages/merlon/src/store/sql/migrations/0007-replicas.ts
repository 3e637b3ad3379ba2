import type { Migration } from '../migrations.ts'

/** As in `0002-row-security`: a released migration does not change, so it is written out again. */
const setting = `nullif(current_setting('merlon.tenant', true), '')`

/** The processes that serve from this database now, and what they leave for each other. */
export const replicaTables: Migration = {
  name: '0007-replicas',
  statements: ({ text, integer, bytes, end, rowSecurity }) => [
    // By the clock of the database: those of the processes may differ.
    `create table replicas (
      id ${text} primary key,
      seen_at ${integer} not null
    )${end}`,

    // Numbered without a gap in the order of their commits. `id` keeps one that is left twice from being there twice.
    `create table mail (
      revision ${integer} primary key,
      id ${bytes} not null unique check (length(id) = 16),
      tenant ${text} not null,
      session ${bytes} check (session is null or length(session) = 32),
      at ${integer} not null,
      sealed ${bytes} not null
    )${end}`,
    'create index mail_at on mail (at)',
    'create index mail_session on mail (session)',

    // How many there have ever been, and what of them is there now.
    `create table mail_revision (
      id ${integer} primary key check (id = 1),
      value ${integer} not null,
      held ${integer} not null,
      bytes ${integer} not null
    )${end}`,
    'insert into mail_revision (id, value, held, bytes) values (1, 0, 0, 0)',

    ...(rowSecurity
      ? [
          `create policy mail_tenant on mail using (${setting} = '*' or tenant = ${setting})`,
          'alter table mail enable row level security',
          'alter table mail force row level security',
        ]
      : []),
  ],
}
