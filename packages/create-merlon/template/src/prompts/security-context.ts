import { definePrompt } from 'merlon'
import { policies } from '../policies.ts'

export default definePrompt({
  name: 'security-context',
  title: 'Security context',
  description: 'Reminds an agent of the policies of this server, all of them or one topic.',
  arguments: [
    {
      name: 'topic',
      description: 'One topic; without it, all of them.',
      complete: (begun) => policies.map(({ topic }) => topic).filter((topic) => topic.startsWith(begun)),
    },
  ],
  get: ({ topic }) => {
    const chosen = policies.filter((policy) => topic === undefined || policy.topic === topic)
    if (chosen.length === 0) return `There is no policy on that topic. Read policy://security for all of them.`
    return ['While you work with this server, observe:', ...chosen.map(({ text }) => `- ${text}`)].join('\n')
  },
})
