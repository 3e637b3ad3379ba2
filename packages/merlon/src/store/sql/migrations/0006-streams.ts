import type { Migration } from '../migrations.ts'

/**
 * A row for each stream of a history from its first event on: which replica makes its events and what they answer, whether
 * it has ended, who reads it, and how far a reader who came back had come. Of the streams that were there before nothing
 * is known but what they lost: they count as ended.
 */
export const streams: Migration = {
  name: '0006-streams',
  statements: ({ text, integer, bytes }) => [
    // Null: any replica may add to it, as to the session's own.
    `alter table history_streams add column producer ${text}`,
    `alter table history_streams add column sealed ${bytes}`,
    `alter table history_streams add column ended ${integer} not null default 1`,
    `alter table history_streams add column reader ${text}`,
    `alter table history_streams add column claim ${integer} not null default 0`,
    `alter table history_streams add column claimed_at ${integer} not null default 0`,
    `alter table history_streams add column resumed ${integer} not null default 0`,
  ],
}
