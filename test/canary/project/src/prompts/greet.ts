import { definePrompt } from 'merlon'

export default definePrompt({
  name: 'greet',
  description: 'Greets.',
  arguments: [{ name: 'whom', required: true, complete: (begun) => [`${begun}-more`] }],
  get({ whom = '' }) {
    if (whom.startsWith('bad')) throw new Error(`nobody is called ${whom}`)
    return `Greet ${whom}.`
  },
})
