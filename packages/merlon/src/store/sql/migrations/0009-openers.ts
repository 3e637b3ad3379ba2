import type { Migration } from '../migrations.ts'

/**
 * With what and by whom a session was opened, as keyed digests, so that it ends with either. Those of before do not say: they
 * end here, and their clients begin again.
 */
export const openers: Migration = {
  name: '0009-openers',
  statements: ({ integer, bytes }) => [
    'delete from histories',
    'delete from sessions',
    'delete from session_counts',
    ...['principal', 'credential'].flatMap((column) => [
      // SQLite adds no column without a default; this one cannot be inserted.
      `alter table sessions add column ${column} ${bytes} not null default '' check (length(${column}) = 32)`,
      `create index sessions_${column} on sessions (${column})`,
    ]),
    // Up to which change of the identities the sessions of who was withdrawn are ended.
    `alter table session_revision add column withdrawn ${integer} not null default 0`,
    'update session_revision set withdrawn = (select value from identity_revision)',
  ],
}
