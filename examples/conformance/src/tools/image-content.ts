import { content, defineTool, image } from 'merlon'
import * as z from 'zod'
import { redPixelPng } from '../media.ts'

export default defineTool({
  name: 'test_image_content',
  description: 'Returns one image.',
  input: z.strictObject({}),
  run: () => content(image(redPixelPng, 'image/png')),
})
