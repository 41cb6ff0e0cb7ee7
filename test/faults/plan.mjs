// Faults, and the plan of a run: which one when, and for how long, all drawn from the seed before anything happens.
//
// Each is {name, lasts, draw, apply, heal}: draw(random) chooses what it will hit, apply(world, drawn) makes it happen,
// heal(world, drawn) makes it possible to go on.  Between the two it lasts some time, in seconds.
import { WebSocket } from 'ws'
import * as Y from 'yjs'

import { sleep } from '../relay/servers.mjs'
import { chance } from '../chance.mjs'

const someRelay = random => ({ relay: random.below(2) })
const relayOf = (world, { relay }) => world.relays[relay]

function signal (pid, name) {
  try { process.kill(pid, name) } catch {} // it has gone meanwhile
}

// Everybody of some documents goes away while nothing works, and others come afterwards: so nobody is left who could
// send again what the servers have lost.
const exodus = {
  draw: random => random.once(2) ? exodus.always(random) : {},
  always: random => ({ exodus: [1, 2].map(() => random.below(8)) }),
  apply (world, { exodus = [] }) {
    for (const index of exodus) for (const person of world.peopleOf(world.documents[index])) world.dismiss(person)
  },
  heal (world, { exodus = [] }) {
    for (const index of new Set(exodus)) for (let i = 0; i < 4; i++) world.invite(world.documents[index])
  }
}

async function killRelaysAndGoOn (world, drawn) {
  await Promise.all(world.relays.map(each => world.killRelay(each)))
  exodus.apply(world, drawn)
  for (const { toDatabase } of world.relays) {
    toDatabase.cut()
    toDatabase.heal()
  }
  await world.startDatabase()
  for (const each of world.relays) await world.launchRelay(each)
  exodus.heal(world, drawn)
}

const processes = [
  {
    name: 'kill -9 of a relay',
    lasts: [0, 2],
    draw: random => ({ ...someRelay(random), all: random.once(2), ...exodus.draw(random) }),
    async apply (world, drawn) {
      await world.killRelay(relayOf(world, drawn), drawn.all)
      exodus.apply(world, drawn)
    },
    async heal (world, drawn) {
      await world.launchRelay(relayOf(world, drawn))
      exodus.heal(world, drawn)
    }
  },
  {
    name: 'kill -9 of both relays',
    lasts: [0, 1],
    draw: exodus.draw,
    async apply (world, drawn) {
      await Promise.all(world.relays.map(each => world.killRelay(each)))
      exodus.apply(world, drawn)
    },
    async heal (world, drawn) {
      for (const each of world.relays) await world.launchRelay(each)
      exodus.heal(world, drawn)
    }
  },
  {
    name: 'SIGTERM of a relay',
    lasts: [0, 1],
    draw: someRelay,
    apply: (world, drawn) => world.endRelay(relayOf(world, drawn), 'SIGTERM'),
    heal: (world, drawn) => world.launchRelay(relayOf(world, drawn))
  },
  {
    name: 'a rolling restart of the relays',
    lasts: [0, 0],
    draw: () => ({}),
    async apply (world) {
      for (const each of world.relays) {
        await world.endRelay(each, 'SIGTERM')
        await world.launchRelay(each)
        await sleep(300)
      }
    },
    async heal () {}
  },
  {
    name: 'SIGSTOP of a relay',
    lasts: [0.5, 4],
    draw: someRelay,
    apply: (world, drawn) => world.signalRelay(relayOf(world, drawn), 'SIGSTOP'),
    heal: (world, drawn) => world.signalRelay(relayOf(world, drawn), 'SIGCONT')
  },
  {
    name: 'kill -9 of a worker',
    lasts: [0.5, 2],
    draw: random => ({ which: random.below(2) }),
    async apply (world, { which }) {
      const [, ...workers] = await world.processesOf(world.relays[1])
      if (workers.length > 0) signal(workers[which % workers.length], 'SIGKILL')
    },
    async heal () {}
  },
  {
    name: 'a rolling replacement of workers',
    lasts: [1, 3],
    draw: () => ({}),
    async apply (world) { world.relays[1].relay.child.kill('SIGHUP') },
    async heal () {}
  },
  {
    name: 'kill -9 of all of PostgreSQL',
    lasts: [0, 2],
    draw: exodus.draw,
    async apply (world, drawn) {
      await world.database.kill9()
      exodus.apply(world, drawn)
    },
    async heal (world, drawn) {
      await world.startDatabase()
      exodus.heal(world, drawn)
    }
  },
  // Whatever was shown while nothing could be committed is lost now: nothing may have been.
  {
    name: 'kill -9 of the relays while PostgreSQL is away',
    lasts: [0.5, 2],
    draw: exodus.always,
    apply: world => world.database.kill9(),
    heal: killRelaysAndGoOn
  },
  {
    name: 'kill -9 of the relays while they do not reach PostgreSQL',
    lasts: [0.5, 2],
    draw: random => ({ ...exodus.always(random), how: random.pick(['refuse', 'hold', 'swallow']) }),
    async apply (world, { how }) { for (const { toDatabase } of world.relays) toDatabase[how]() },
    heal: killRelaysAndGoOn
  },
  {
    name: 'kill -9 of a backend',
    lasts: [0.2, 1],
    draw: random => ({ ...someRelay(random), role: random.pick(['listener', 'other']), which: random.below(4) }),
    async apply (world, drawn) {
      const pids = await world.backendsOf(relayOf(world, drawn), drawn.role)
      if (pids.length > 0) signal(pids[drawn.which % pids.length], 'SIGKILL')
    },
    heal: world => world.startDatabase()
  },
  {
    name: 'an immediate shutdown of PostgreSQL',
    lasts: [0, 2],
    draw: exodus.draw,
    async apply (world, drawn) {
      await world.database.halt('immediate')
      exodus.apply(world, drawn)
    },
    async heal (world, drawn) {
      await world.startDatabase()
      exodus.heal(world, drawn)
    }
  },
  {
    name: 'a restart of PostgreSQL',
    lasts: [0, 1],
    draw: () => ({}),
    apply: world => world.database.halt('fast'),
    heal: world => world.startDatabase()
  },
  {
    name: 'termination of backends',
    lasts: [0, 0],
    draw: random => ({ ...someRelay(random), all: random.once(2), which: random.below(5) }),
    async apply (world, drawn) {
      const each = relayOf(world, drawn)
      const pids = [...await world.backendsOf(each, 'listener'), ...await world.backendsOf(each, 'other')]
      const chosen = drawn.all ? pids : [pids[drawn.which % pids.length]]
      await world.database.psql(`SELECT pg_terminate_backend(pid) FROM unnest('{${chosen}}'::int[]) AS pid`)
    },
    async heal () {}
  },
  {
    name: 'SIGSTOP of backends',
    lasts: [0.5, 4],
    draw: random => ({ ...someRelay(random), role: random.pick(['listener', 'other']) }),
    async apply (world, drawn) {
      drawn.pids = await world.backendsOf(relayOf(world, drawn), drawn.role)
      for (const pid of drawn.pids) signal(pid, 'SIGSTOP')
    },
    async heal (world, drawn) { for (const pid of drawn.pids) signal(pid, 'SIGCONT') }
  },
  {
    name: 'a full disk',
    lasts: [1, 4],
    draw: () => ({}),
    needsDisk: true,
    async apply (world) { world.disk.fill() },
    async heal (world) {
      world.disk.free()
      await world.startDatabase()
    }
  },
  {
    name: 'commits that nobody is told of',
    lasts: [1, 3],
    draw: () => ({}),
    async apply (world) {
      await world.database.psql('ALTER SYSTEM SET ydoc.notify = off')
      await world.database.psql('SELECT pg_reload_conf()')
    },
    async heal (world) {
      await world.database.psql('ALTER SYSTEM RESET ydoc.notify')
      await world.database.psql('SELECT pg_reload_conf()')
    }
  },
  {
    name: 'a lock on a document',
    lasts: [0.5, 3],
    draw: random => ({ document: random.below(8) }),
    async apply (world, drawn) {
      drawn.session = world.database.psql(`BEGIN; SELECT FROM ydoc_data.document WHERE name = '${world.documents[drawn.document]}' FOR UPDATE; SELECT pg_sleep(3); COMMIT`).catch(() => {})
    },
    async heal (world, drawn) { await drawn.session }
  }
]

const links = ['toPeople', 'toDatabase'].flatMap(way => {
  const words = way === 'toPeople' ? 'between people and a relay' : 'between a relay and PostgreSQL'
  const linkOf = (world, drawn) => relayOf(world, drawn)[way]
  const draw = random => ({ ...someRelay(random), cutsInTheEnd: random.once(2) })
  const heal = async (world, drawn) => {
    if (drawn.cutsInTheEnd) linkOf(world, drawn).cut()
    linkOf(world, drawn).heal()
  }
  return [
    { name: `a cut ${words}`, lasts: [0, 0.5], draw, apply: async (world, drawn) => linkOf(world, drawn).cut(), heal },
    { name: `no way ${words}`, lasts: [0.5, 3], draw, apply: async (world, drawn) => linkOf(world, drawn).refuse(), heal },
    { name: `silence ${words}`, lasts: [0.5, 4], draw, apply: async (world, drawn) => linkOf(world, drawn).hold(), heal },
    { name: `a long way ${words}`, lasts: [1, 3], draw, apply: async (world, drawn) => linkOf(world, drawn).delay(250), heal },
    { name: `a narrow way ${words}`, lasts: [1, 3], draw, apply: async (world, drawn) => linkOf(world, drawn).throttle(8000), heal }
  ]
})

links.push({
  name: 'answers of PostgreSQL that are lost',
  lasts: [0.1, 1],
  draw: someRelay,
  async apply (world, drawn) { relayOf(world, drawn).toDatabase.swallow() },
  async heal (world, drawn) { relayOf(world, drawn).toDatabase.cut() }
})

const people = [
  {
    name: 'people who go offline and type',
    lasts: [0.5, 3],
    draw: random => ({ share: random.between(0.2, 1) }),
    async apply (world, drawn) {
      drawn.people = world.people.filter(() => world.random.next() < drawn.share)
      for (const person of drawn.people) person.goOffline()
    },
    async heal (world, drawn) { for (const person of drawn.people) if (person.isHere) person.comeBack() }
  },
  {
    name: 'people who leave and others who come',
    lasts: [0.2, 1],
    draw: random => ({ share: random.between(0.1, 0.6) }),
    async apply (world, drawn) {
      drawn.left = world.people.filter(() => world.random.next() < drawn.share)
      for (const person of drawn.left) world.dismiss(person)
    },
    async heal (world, drawn) { for (const person of drawn.left) world.invite(person.document) }
  },
  {
    name: 'hostile clients',
    lasts: [0.5, 1],
    draw: random => ({ ...someRelay(random), document: random.below(8), bytes: Array.from({ length: 40 }, () => random.below(256)) }),
    apply: hostile,
    async heal () {}
  },
  {
    name: 'a flood of updates',
    lasts: [0.5, 2],
    draw: random => ({ ...someRelay(random), document: random.below(8) }),
    apply: flood,
    async heal () {}
  },
  {
    name: 'compaction',
    lasts: [0, 0],
    draw: random => ({ documents: [0, 1, 2].map(() => random.below(8)), force: random.once(2) }),
    apply: compact,
    async heal () {}
  }
]

// Bytes that are no message, updates that are none, a state vector that is none, text, and nothing at all.
async function hostile (world, drawn) {
  const name = world.documents[drawn.document]
  const junk = Uint8Array.from(drawn.bytes)
  const messages = [
    junk, Uint8Array.of(0, 2, 5, 9, 9, 9, 9, 9), Uint8Array.of(0, 1, 3, 1, 200, 1), Uint8Array.of(0, 0, 2, 9, 9),
    Uint8Array.of(1, 200), 'hello', Uint8Array.of()
  ]
  await Promise.all(messages.map(message => new Promise(resolve => {
    const socket = new WebSocket(`ws://127.0.0.1:${relayOf(world, drawn).toPeople.port}/${name}`)
    socket.on('error', () => {}).on('close', resolve)
    socket.on('open', () => socket.send(message))
    setTimeout(() => socket.terminate(), 500)
  })))
}

// One small update, thousands of times, from one connection.
async function flood (world, drawn) {
  const doc = new Y.Doc()
  doc.getMap('flood').set(String(doc.clientID), true)
  const update = Y.encodeStateAsUpdate(doc)
  const message = Uint8Array.of(0, 2, update.length, ...update)
  const socket = new WebSocket(`ws://127.0.0.1:${relayOf(world, drawn).toPeople.port}/${world.documents[drawn.document]}`)
  socket.on('error', () => {})
  socket.on('open', () => { for (let i = 0; i < 5000; i++) socket.send(message) })
  setTimeout(() => socket.terminate(), 2000)
}

// History is thinned in one transaction that looks at the document before and after.
export async function compact (world, drawn) {
  for (const name of new Set(drawn.documents.map(index => world.documents[index]))) {
    let answer
    try {
      answer = await world.database.psql(`BEGIN;
        SELECT FROM ydoc_data.document WHERE name = '${name}' FOR UPDATE;
        SELECT encode(ydoc.export('${name}'), 'hex'), ydoc.json('${name}');
        SELECT ydoc.thin('${name}'), ydoc.compact('${name}', ${drawn.force ?? true});
        SELECT encode(ydoc.export('${name}'), 'hex'), ydoc.json('${name}');
        COMMIT`)
    } catch { // the server is away: then nothing was changed
      continue
    }
    const [before, counts, after] = answer.split('\n').filter(Boolean)
    world.folds.push({ document: name, before, counts, after })
  }
}

export const faults = [...processes, ...links, ...people]

// The faults of a run.  Half of them come with a second one of another kind, which lasts as long.
export function drawPlan (seed, count) {
  const random = chance(seed, 'plan')
  const plan = []
  let left = []
  for (let number = 1; number <= count; number++) {
    if (left.length === 0) left = [...faults] // each once before any comes again
    const [fault] = left.splice(random.below(left.length), 1)
    const others = processes.includes(fault) ? [...links, ...people] : links.includes(fault) ? people : links
    const company = random.once(2) ? random.pick(others) : undefined
    plan.push({
      number,
      fault,
      drawn: fault.draw(random),
      company,
      companyDrawn: company?.draw(random),
      seconds: random.between(...fault.lasts)
    })
  }
  return plan
}

const words = drawn => Object.entries(drawn ?? {}).filter(([key]) => key !== 'bytes').map(([key, value]) => `${key} ${value}`).join(', ')

export function describe ({ number, fault, drawn, company, companyDrawn, seconds }) {
  const own = words(drawn)
  const other = words(companyDrawn)
  return `${number}. ${fault.name}${own && ` (${own})`}${company ? `, with ${company.name}${other && ` (${other})`}` : ''}, ${seconds.toFixed(1)} s`
}

export async function happen (world, { fault, drawn, company, companyDrawn, seconds }) {
  if (fault.needsDisk && !world.disk.isSmall) return 'skipped: only root can mount a small disk'
  await fault.apply(world, drawn)
  await company?.apply(world, companyDrawn)
  await sleep(seconds * 1000)
  await company?.heal(world, companyDrawn)
  await fault.heal(world, drawn)
}
