import { content, defineTool, embedded, image, text } from 'merlon'
import * as z from 'zod'
import { redPixelPng } from '../media.ts'

export default defineTool({
  name: 'test_multiple_content_types',
  description: 'Returns a text, an image and a resource.',
  input: z.strictObject({}),
  run: () =>
    content(
      text('Multiple content types test:'),
      image(redPixelPng, 'image/png'),
      embedded({
        uri: 'test://mixed-content-resource',
        mimeType: 'application/json',
        text: JSON.stringify({ test: 'data', value: 123 }),
      }),
    ),
})
