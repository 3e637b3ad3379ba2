import { definePrompt } from 'merlon'

const suggestions = ['paris', 'park', 'party', 'testValue1', 'testValue2']

export default definePrompt({
  name: 'test_prompt_with_arguments',
  description: 'One message with two arguments in it.',
  arguments: [
    {
      name: 'arg1',
      description: 'First test argument',
      required: true,
      complete: (value) => suggestions.filter((suggestion) => suggestion.startsWith(value)),
    },
    { name: 'arg2', description: 'Second test argument', required: true },
  ],
  get: ({ arg1, arg2 }) => `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`,
})
