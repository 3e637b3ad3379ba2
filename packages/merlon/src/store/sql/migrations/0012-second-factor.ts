import type { Migration } from '../migrations.ts'

/** What codes are judged by, beside the password; and when a sign-in was confirmed with one. */
export const secondFactor: Migration = {
  name: '0012-second-factor',
  statements: ({ text, integer }) => [
    `alter table users add column second_factor ${text}`,
    `alter table users add column second_factor_at ${integer}`,
    `alter table users add column second_factor_step ${integer} not null default 0`,
    `alter table users add column recovery_codes ${text} not null default ''`,
    `alter table sign_ins add column confirmed_at ${integer}`,
  ],
}
