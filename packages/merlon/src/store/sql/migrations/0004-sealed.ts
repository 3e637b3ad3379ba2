import type { Migration } from '../migrations.ts'

/** As in `0002-row-security`: a released migration does not change, so it is written out again. */
const setting = `nullif(current_setting('merlon.tenant', true), '')`

/**
 * Data keys, wrapped by the root key, and the sessions and events that they seal. A session is named by a keyed digest of its id, so that
 * who reads the tables learns neither what was said nor how to ask for it.
 */
export const sealedTables: Migration = {
  name: '0004-sealed',
  statements: ({ text, integer, bytes, end, rowSecurity }) => [
    `create table data_keys (
      id ${text} primary key,
      tenant ${text} not null,
      purpose ${text} not null,
      root ${text} not null,
      wrapped ${bytes} not null,
      created_at ${integer} not null,
      replaced_at ${integer},
      destroyed_at ${integer} check (destroyed_at is null or replaced_at is not null)
    )${end}`,
    'create unique index data_keys_sealing on data_keys (tenant, purpose) where replaced_at is null',

    // A session by the digest of its id. What is told of it in the clear is what ends it and who may end it.
    `create table sessions (
      session ${bytes} primary key check (length(session) = 32),
      listed ${text} not null unique,
      tenant ${text} not null,
      binding ${bytes} not null check (length(binding) = 32),
      expires_at ${integer} not null,
      used_at ${integer} not null,
      version ${integer} not null,
      sealed ${bytes} not null
    )${end}`,
    'create index sessions_tenant on sessions (tenant, listed)',
    'create index sessions_binding on sessions (binding)',
    'create index sessions_expires on sessions (expires_at)',
    'create index sessions_used on sessions (used_at)',

    // How many are there, in all, of a tenant, of a binding.
    `create table session_counts (
      scope ${text} primary key,
      alive ${integer} not null
    )${end}`,

    // What other processes have to hear of: sessions that are over, or are not as they were.
    `create table session_news (
      revision ${integer} primary key,
      session ${bytes} not null,
      over ${integer} not null,
      at ${integer} not null
    )${end}`,
    `create table session_revision (
      id ${integer} primary key check (id = 1),
      value ${integer} not null
    )${end}`,
    'insert into session_revision (id, value) values (1, 0)',

    // Without its salt nothing of a history opens: deleting this row is what makes a session's events unreadable.
    `create table histories (
      session ${bytes} primary key check (length(session) = 32),
      tenant ${text} not null,
      salt ${bytes} not null check (length(salt) = 16),
      next ${integer} not null,
      floor ${integer} not null
    )${end}`,

    `create table history_streams (
      session ${bytes} not null references histories (session) on delete cascade,
      stream ${integer} not null,
      tenant ${text} not null,
      lost ${integer} not null,
      primary key (session, stream)
    )${end}`,

    `create table history_events (
      session ${bytes} not null references histories (session) on delete cascade,
      seq ${integer} not null,
      stream ${integer} not null,
      tenant ${text} not null,
      at ${integer} not null,
      sealed ${bytes} not null,
      primary key (session, seq)
    )${end}`,
    'create index history_events_at on history_events (at)',

    ...(rowSecurity
      ? ['data_keys', 'sessions', 'histories', 'history_streams', 'history_events'].flatMap(keptToTenant)
      : []),
  ],
}

function keptToTenant(table: string): readonly string[] {
  return [
    `create policy ${table}_tenant on ${table} using (${setting} = '*' or tenant = ${setting})`,
    `alter table ${table} enable row level security`,
    `alter table ${table} force row level security`,
  ]
}
