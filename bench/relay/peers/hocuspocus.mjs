// Hocuspocus with its database extension on PostgreSQL: one upsert of the whole document, two seconds after the last
// change (its defaults).  argv: host of the database.  Prints its port.
import { Database } from '@hocuspocus/extension-database'
import { Server } from '@hocuspocus/server'
import pg from 'pg'

const pool = new pg.Pool({ host: process.argv[2], user: 'postgres', database: 'test' })
await pool.query('CREATE TABLE IF NOT EXISTS hocuspocus (name text PRIMARY KEY, state bytea NOT NULL)')

const server = new Server({
  port: 0,
  address: '127.0.0.1',
  quiet: true,
  stopOnSignals: false,
  extensions: [new Database({
    fetch: async ({ documentName }) => (await pool.query('SELECT state FROM hocuspocus WHERE name = $1', [documentName])).rows[0]?.state ?? null,
    store: ({ documentName, state }) => pool.query('INSERT INTO hocuspocus VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET state = $2', [documentName, state])
  })]
})
await server.listen()
console.log(server.address.port)
