/** What an agent must know before it acts here. Shown as a resource and through a prompt. */
export interface Policy {
  readonly topic: string
  readonly text: string
}

export const policies: readonly Policy[] = [
  {
    topic: 'keys',
    text: 'Use only the API key you were given. Never put a key in an argument, a note or an answer.',
  },
  {
    topic: 'scopes',
    text: 'A key with `read` sees and reads, `write` calls tools that change something, `admin` asks for the status. When a call is refused for a scope, ask a person; do not look for another way.',
  },
  {
    topic: 'limits',
    text: 'Calls are counted. When the answer is 429, wait for as long as Retry-After says.',
  },
  {
    topic: 'notes',
    text: 'A note can be read by everyone in the tenant. Write no personal data and no secrets. Deleting one asks a person first.',
  },
]
