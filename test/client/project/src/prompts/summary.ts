import { definePrompt } from 'merlon'

const tones = ['formal', 'friendly', 'terse']

export default definePrompt({
  name: 'summary',
  description: "A summary of today's note.",
  arguments: [{ name: 'tone', required: true, complete: (value) => tones.filter((tone) => tone.startsWith(value)) }],
  get: ({ tone }) => `Sum up note://today in a ${tone} tone.`,
})
