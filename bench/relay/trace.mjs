// Puts a real editing session into a server's storage, as document NAME-0 (what the load calls its first document).
import { gunzipSync } from 'node:zlib'
import { readFileSync, writeFileSync } from 'node:fs'

const data = new URL('../../test/data/traces/', import.meta.url)

export async function startTrace (server, trace) {
  const state = gunzipSync(readFileSync(new URL(`${trace}.v1.gz`, data)))
  const file = `${server.database.socket}/trace`
  writeFileSync(file, state)
  if (server.protocol === 'hocuspocus') await server.database.psql(`INSERT INTO hocuspocus VALUES ('${trace}-0', pg_read_binary_file('${file}'))`)
  else {
    await server.database.psql(`SELECT ydoc.import('${trace}-0', pg_read_binary_file('${file}'))`)
  }
  return trace
}
