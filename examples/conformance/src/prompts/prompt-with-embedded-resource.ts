import { definePrompt, embedded, text } from 'merlon'

export default definePrompt({
  name: 'test_prompt_with_embedded_resource',
  description: 'A resource in full and a message about it.',
  arguments: [{ name: 'resourceUri', description: 'URI of the resource to embed', required: true }],
  get: ({ resourceUri }) => [
    {
      role: 'user',
      content: embedded({
        uri: resourceUri,
        mimeType: 'text/plain',
        text: 'Embedded resource content for testing.',
      }),
    },
    { role: 'user', content: text('Please process the embedded resource above.') },
  ],
})
