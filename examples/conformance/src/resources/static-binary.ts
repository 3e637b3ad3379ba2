import { defineResource } from 'merlon'
import { redPixelPng } from '../media.ts'

export default defineResource({
  name: 'static-binary',
  title: 'Static binary',
  description: 'An image that never changes.',
  uri: 'test://static-binary',
  mimeType: 'image/png',
  read: () => Buffer.from(redPixelPng, 'base64'),
})
