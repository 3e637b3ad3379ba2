import { content, defineTool, embedded } from 'merlon'
import * as z from 'zod'

export default defineTool({
  name: 'test_embedded_resource',
  description: 'Returns a resource in full.',
  input: z.strictObject({}),
  run: () =>
    content(
      embedded({
        uri: 'test://embedded-resource',
        mimeType: 'text/plain',
        text: 'This is an embedded resource content.',
      }),
    ),
})
