import { defineTool } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_elicitation_sep1330_enums',
  description: 'Asks the user with every form of choice (SEP-1330).',
  input: z.strictObject({}),
  run: async (_input, ctx) => {
    const answer = await ctx.elicit({
      message: 'Please select options from the enum fields',
      schema: {
        type: 'object',
        properties: {
          untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
          titledSingle: {
            type: 'string',
            oneOf: [
              { const: 'value1', title: 'First Option' },
              { const: 'value2', title: 'Second Option' },
              { const: 'value3', title: 'Third Option' },
            ],
          },
          legacyEnum: {
            type: 'string',
            enum: ['opt1', 'opt2', 'opt3'],
            enumNames: ['Option One', 'Option Two', 'Option Three'],
          },
          untitledMulti: {
            type: 'array',
            items: { type: 'string', enum: ['option1', 'option2', 'option3'] },
          },
          titledMulti: {
            type: 'array',
            items: {
              anyOf: [
                { const: 'value1', title: 'First Choice' },
                { const: 'value2', title: 'Second Choice' },
                { const: 'value3', title: 'Third Choice' },
              ],
            },
          },
        },
        required: [],
      },
    })
    return `Elicitation completed: ${JSON.stringify(answer)}`
  },
})
