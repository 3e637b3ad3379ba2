import type { Migration } from '../migrations.ts'

/**
 * How far a session's own stream has been told of changes: the number of a letter in `mail`. Several replicas may try to tell of
 * one, and it is told once.
 */
export const toldChanges: Migration = {
  name: '0010-told-changes',
  statements: ({ integer }) => [`alter table history_streams add column told ${integer} not null default 0`],
}
