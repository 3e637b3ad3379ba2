import { audio, content, defineTool } from 'merlon'
import * as z from 'zod'
import { silenceWav } from '../media.ts'

export default defineTool({
  name: 'test_audio_content',
  description: 'Returns one sound.',
  input: z.strictObject({}),
  run: () => content(audio(silenceWav, 'audio/wav')),
})
