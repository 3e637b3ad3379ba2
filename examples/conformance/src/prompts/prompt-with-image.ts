import { definePrompt, image, text } from 'merlon'
import { redPixelPng } from '../media.ts'

export default definePrompt({
  name: 'test_prompt_with_image',
  description: 'An image and a message about it.',
  get: () => [
    { role: 'user', content: image(redPixelPng, 'image/png') },
    { role: 'user', content: text('Please analyze the image above.') },
  ],
})
