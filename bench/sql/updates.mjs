// An editing session of test/data/traces as rows for COPY.
// usage: node updates.mjs NAME updates    n and update of each;    node updates.mjs NAME state    the state they end in
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

const [name, what] = process.argv.slice(2)
const read = file => gunzipSync(readFileSync(new URL(`../../test/data/traces/${name}.${file}.gz`, import.meta.url)))
const hex = bytes => `\\\\x${bytes.toString('hex')}`

if (what === 'state') process.stdout.write(hex(read('v1')) + '\n')
else {
  const stream = read('updates')
  const lines = []
  for (let at = 0; at < stream.length;) {
    const end = at + 4 + stream.readUInt32LE(at)
    lines.push(`${lines.length}\t${hex(stream.subarray(at + 4, end))}\n`)
    at = end
  }
  process.stdout.write(lines.join(''))
}
