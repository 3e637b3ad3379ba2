import { defineResource } from 'merlon'
import { policies } from '../policies.ts'

export default defineResource({
  name: 'security-policies',
  title: 'Security policies',
  description: 'What an agent must observe on this server.',
  uri: 'policy://security',
  mimeType: 'text/markdown',
  ttlMs: 60_000,
  read: () => policies.map(({ topic, text }) => `## ${topic}\n\n${text}\n`).join('\n'),
})
