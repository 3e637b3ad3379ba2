import * as z from 'zod'

export const metadata = { name: 'echo', description: 'Repeats the text.' }

export const schema = { text: z.string().describe('The text to repeat.') }

export default function echo({ text }: { text: string }): string {
  return text
}
