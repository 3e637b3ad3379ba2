import type { Migration } from '../migrations.ts'

/** As in `0002-row-security`: a released migration does not change, so it is written out again. */
const setting = `nullif(current_setting('merlon.tenant', true), '')`

/** Whose tokens of other issuers are refused. No tenant is every tenant, and such a row is seen by no single one. */
export const blockedSubjects: Migration = {
  name: '0005-blocked-subjects',
  statements: ({ text, integer, end, rowSecurity }) => [
    `create table blocked_subjects (
      id ${text} primary key,
      issuer ${text} not null,
      subject ${text} not null,
      tenant ${text} references tenants (id),
      blocked_by ${text} not null,
      blocked_at ${integer} not null,
      changed ${integer} not null
    )${end}`,
    `create unique index blocked_subjects_subject on blocked_subjects (issuer, subject, coalesce(tenant, ''))`,
    'create index blocked_subjects_tenant on blocked_subjects (tenant, id)',
    'create index blocked_subjects_changed on blocked_subjects (changed)',
    ...(rowSecurity
      ? [
          `create policy blocked_subjects_tenant on blocked_subjects using (${setting} = '*' or tenant = ${setting})`,
          'alter table blocked_subjects enable row level security',
          'alter table blocked_subjects force row level security',
        ]
      : []),
  ],
}
