import type { Migration } from '../migrations.ts'

/**
 * The setting is that of `row-security.ts`; written out, because a released migration does not change. A transaction that
 * had set it leaves it empty behind, which has to be the same as never set.
 */
const setting = `nullif(current_setting('merlon.tenant', true), '')`

/**
 * PostgreSQL itself keeps each transaction to the tenant that it named. Forced, so that it holds for the owner of the tables,
 * which is the role that Merlon connects as; a superuser, or a role with BYPASSRLS, is held by nothing. SQLite has no such
 * thing, and there is nothing to do.
 */
export const rowSecurity: Migration = {
  name: '0002-row-security',
  statements: ({ rowSecurity }) =>
    rowSecurity
      ? [
          ...keptTo('users', `tenant = ${setting}`),
          ...keptTo('api_keys', `tenant = ${setting}`),
          // Only keys that may be seen are found here: their own policy holds inside this one.
          ...keptTo('retired_secrets', 'exists (select 1 from api_keys where api_keys.id = retired_secrets.key_id)'),
        ]
      : [],
}

/** Without `with check`, the rule for what is seen is the rule for what may be written. */
function keptTo(table: string, rule: string): readonly string[] {
  return [
    `create policy ${table}_tenant on ${table} using (${setting} = '*' or ${rule})`,
    `alter table ${table} enable row level security`,
    `alter table ${table} force row level security`,
  ]
}
