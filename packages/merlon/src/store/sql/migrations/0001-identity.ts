import type { Migration } from '../migrations.ts'

export const identityTables: Migration = {
  name: '0001-identity',
  statements: ({ text, integer, bytes, end }) => [
    `create table installation (
      name ${text} primary key,
      value ${text} not null
    )${end}`,

    `create table identity_revision (
      id ${integer} primary key check (id = 1),
      value ${integer} not null
    )${end}`,
    'insert into identity_revision (id, value) values (1, 0)',

    `create table tenants (
      id ${text} primary key,
      created_at ${integer} not null
    )${end}`,

    `create table users (
      id ${text} primary key,
      tenant ${text} not null references tenants (id),
      name ${text} not null,
      role ${text} not null,
      status ${text} not null check (status in ('active', 'disabled')),
      created_at ${integer} not null,
      changed ${integer} not null,
      unique (tenant, name),
      unique (id, tenant)
    )${end}`,
    'create index users_changed on users (changed)',

    // The pair keeps a key in the tenant of its owner, whatever the code above may do.
    `create table api_keys (
      id ${text} primary key,
      tenant ${text} not null,
      owner ${text} not null,
      name ${text} not null,
      scopes ${text} not null,
      digest ${bytes} not null check (length(digest) = 32),
      pepper ${text} not null,
      last4 ${text} not null,
      created_at ${integer} not null,
      expires_at ${integer} not null,
      revoked_at ${integer},
      last_used_at ${integer},
      changed ${integer} not null,
      foreign key (owner, tenant) references users (id, tenant)
    )${end}`,
    'create index api_keys_changed on api_keys (changed)',
    'create index api_keys_owner on api_keys (owner, id)',
    'create index api_keys_tenant on api_keys (tenant, id)',
    'create unique index api_keys_name on api_keys (owner, name) where revoked_at is null',

    `create table retired_secrets (
      key_id ${text} not null references api_keys (id),
      digest ${bytes} not null check (length(digest) = 32),
      grace_until ${integer} not null,
      changed ${integer} not null,
      primary key (key_id, changed)
    )${end}`,
  ],
}
