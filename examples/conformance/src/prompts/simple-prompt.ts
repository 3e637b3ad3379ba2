import { definePrompt } from 'merlon'

export default definePrompt({
  name: 'test_simple_prompt',
  description: 'One message, always the same.',
  get: () => 'This is a simple prompt for testing.',
})
