import { definePrompt } from 'merlon'

export const greeting = definePrompt({
  name: 'greeting',
  arguments: [{ name: 'whom', required: true, complete: () => ['Ann', 'Ada'] }],
  get: ({ whom }) => `Greet ${whom}.`,
})

export const operations = definePrompt({
  name: 'operations',
  scope: 'admin',
  arguments: [{ name: 'what', complete: () => ['everything'] }],
  get: () => 'Operate.',
})
