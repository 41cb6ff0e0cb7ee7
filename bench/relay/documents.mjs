// Documents that servers find in their storage: a real editing session, and a very large one (bench/core/large.c).
import { execFileSync } from 'node:child_process'
import { gunzipSync } from 'node:zlib'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const data = new URL('../../test/data/traces/', import.meta.url)
const program = new URL('../../build/bench-large', import.meta.url).pathname

// Stores a state as document NAME-0: what the load calls its first document.
export async function store (server, name, state) {
  const file = `${server.database.socket}/state`
  writeFileSync(file, state)
  await server.database.psql(server.protocol === 'hocuspocus'
    ? `INSERT INTO hocuspocus VALUES ('${name}-0', pg_read_binary_file('${file}'))`
    : `SELECT ydoc.import('${name}-0', pg_read_binary_file('${file}'))`)
}

export async function startTrace (server, trace) {
  await store(server, trace, gunzipSync(readFileSync(new URL(`${trace}.v1.gz`, data))))
  return trace
}

// The state of a document of about so many bytes.
export function makeLarge (bytes) {
  const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-large.'))
  try {
    execFileSync(program, [String(bytes), directory])
    return readFileSync(join(directory, 'large.state'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}
