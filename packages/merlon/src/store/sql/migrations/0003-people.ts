import type { Migration } from '../migrations.ts'

const setting = `nullif(current_setting('merlon.tenant', true), '')`

/** Tenants that can be suspended, users who sign in, agents, what keys are for, sign-ins, and the keys that sign tokens. */
export const people: Migration = {
  name: '0003-people',
  statements: ({ text, integer, bytes, end, rowSecurity }) => [
    `alter table tenants add column name ${text} not null default ''`,
    'update tenants set name = id',
    `alter table tenants add column status ${text} not null default 'active' check (status in ('active', 'suspended'))`,
    // No scopes is no limit; an empty text is the limit that leaves nothing.
    `alter table tenants add column scopes ${text}`,
    `alter table tenants add column updated_at ${integer} not null default 0`,
    'update tenants set updated_at = created_at',
    `alter table tenants add column version ${integer} not null default 1`,
    `alter table tenants add column changed ${integer} not null default 0`,
    'create index tenants_changed on tenants (changed)',

    `alter table users add column email ${text}`,
    `alter table users add column password ${text}`,
    `alter table users add column updated_at ${integer} not null default 0`,
    'update users set updated_at = created_at',
    `alter table users add column version ${integer} not null default 1`,
    `alter table users add column removed_at ${integer}`,
    'create unique index users_email on users (email) where email is not null',
    'create index users_tenant on users (tenant, id)',
    'create index users_role on users (role, status)',

    `create table agents (
      id ${text} primary key,
      tenant ${text} not null,
      owner ${text} not null,
      name ${text} not null,
      type ${text} not null,
      capabilities ${text} not null,
      metadata ${text} not null,
      status ${text} not null check (status in ('active', 'inactive', 'error')),
      created_at ${integer} not null,
      updated_at ${integer} not null,
      version ${integer} not null,
      removed_at ${integer},
      changed ${integer} not null,
      unique (id, tenant),
      foreign key (owner, tenant) references users (id, tenant)
    )${end}`,
    'create unique index agents_name on agents (tenant, name) where removed_at is null',
    'create index agents_owner on agents (owner, id)',
    'create index agents_tenant on agents (tenant, id)',
    'create index agents_changed on agents (changed)',

    `alter table api_keys add column use ${text} not null default 'mcp' check (use in ('mcp', 'control'))`,
    `alter table api_keys add column agent ${text} references agents (id)`,
    `alter table api_keys add column active ${integer} not null default 1 check (active in (0, 1))`,
    `alter table api_keys add column address_ranges ${text}`,
    `alter table api_keys add column updated_at ${integer} not null default 0`,
    'update api_keys set updated_at = created_at',
    `alter table api_keys add column version ${integer} not null default 1`,
    'create index api_keys_agent on api_keys (agent, id) where agent is not null',

    `create table sign_ins (
      id ${text} primary key,
      tenant ${text} not null,
      user_id ${text} not null,
      address ${text},
      created_at ${integer} not null,
      expires_at ${integer} not null,
      revoked_at ${integer},
      changed ${integer} not null,
      foreign key (user_id, tenant) references users (id, tenant)
    )${end}`,
    'create index sign_ins_user on sign_ins (user_id, id)',
    'create index sign_ins_tenant on sign_ins (tenant, id)',
    'create index sign_ins_changed on sign_ins (changed)',

    `create table signing_keys (
      id ${text} primary key,
      place ${integer} not null unique,
      alg ${text} not null,
      public_jwk ${text} not null,
      sealed ${bytes},
      created_at ${integer} not null,
      active_from ${integer} not null,
      retired_at ${integer},
      destroyed_at ${integer}
    )${end}`,

    ...(rowSecurity
      ? [...keptTo('tenants', 'id'), ...keptTo('agents', 'tenant'), ...keptTo('sign_ins', 'tenant')]
      : []),
  ],
}

function keptTo(table: string, column: string): readonly string[] {
  return [
    `create policy ${table}_tenant on ${table} using (${setting} = '*' or ${column} = ${setting})`,
    `alter table ${table} enable row level security`,
    `alter table ${table} force row level security`,
  ]
}
