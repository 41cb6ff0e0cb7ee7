// People with unmodified providers, who type all the time, and a record of what each was shown.
//
//     const ann = new Person('notes-1', url, 3, random)
//     ann.edit(); ann.goOffline(); ann.comeBack(); ann.leave()
//     ann.shown        of everybody else: structs and deletes, and how many updates
//     ann.promised     clocks that the server has told it has: its sync step 1; with Hocuspocus, its SyncStatus
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import * as decoding from 'lib0/decoding'
import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import { WebsocketProvider as WebsocketProvider2 } from 'y-websocket-2'
import * as Y from 'yjs'

import { IdSet, idsOf } from './idset.mjs'

const MOST_TEXT = 4000 // UTF-16 units; then people delete more than they write
const words = ['a', 'be ', 'éa', '€', '😀', 'hello ', 'world, ', '\n', '  ']
const attributes = [{ bold: true }, { bold: null }, { italic: true }, { link: 'x' }, { link: null, bold: true }]

let count = 0

export class Person {
  constructor (document, url, version, random) {
    Object.assign(this, { number: ++count, document, random, version, isHere: true, typed: 0 })
    this.shown = { updates: 0, inserted: new IdSet(), deleted: new IdSet() }
    this.promised = new Map()
    this.closes = []
    this.doc = new Y.Doc()
    this.doc.on('update', (update, origin) => {
      if (origin !== this.provider) return
      const ids = idsOf(update)
      this.shown.updates++
      this.shown.inserted.addAll(ids.inserted)
      this.shown.deleted.addAll(ids.deleted)
    })
    if (version === 'Hocuspocus') this.useHocuspocus(url)
    else this.useYWebsocket(url)
    this.provider.awareness.setLocalState({ number: this.number })
  }

  useYWebsocket (url) {
    const Provider = this.version === 2 ? WebsocketProvider2 : WebsocketProvider
    this.provider = new Provider(url, this.document, this.doc, {
      WebSocketPolyfill: this.recordingSocket(), disableBc: true, maxBackoffTime: 500
    })
    this.provider.on('connection-close', event => this.closes.push(event?.code))
  }

  useHocuspocus (url) {
    this.socket = new HocuspocusProviderWebsocket({
      url, WebSocketPolyfill: this.recordingSocket(), delay: 200, minDelay: 50, maxDelay: 500
    })
    this.socket.on('close', ({ event }) => this.closes.push(event?.code))
    this.provider = new HocuspocusProvider({ websocketProvider: this.socket, name: this.document, document: this.doc })
    this.provider.on('unsyncedChanges', ({ number }) => {
      if (number === 0) this.promise(this.doc.clientID, Y.getState(this.doc.store, this.doc.clientID))
    })
    this.provider.attach()
  }

  // What the provider gets is noted on its way.
  recordingSocket () {
    const person = this
    return class extends WebSocket {
      constructor (...given) {
        super(...given)
        this.on('message', data => person.note(new Uint8Array(data)))
      }
    }
  }

  note (message) {
    const decoder = decoding.createDecoder(message)
    if (this.socket !== undefined) {
      if (message.length === 1) return // a ping
      decoding.readVarString(decoder)
    }
    const [type, kind] = [decoding.readVarUint(decoder), decoding.readVarUint(decoder)]
    if (this.socket !== undefined && ((type === 2 && kind === 1) || (type === 7 && this.isHere))) this.closes.push(4400) // for good
    if (type !== 0 || kind !== 0) return
    for (const [client, clock] of Y.decodeStateVector(decoding.readVarUint8Array(decoder))) this.promise(client, clock)
  }

  promise (client, clock) {
    this.promised.set(client, Math.max(clock, this.promised.get(client) ?? 0))
  }

  get isConnected () {
    return this.provider.synced && (this.socket === undefined ? this.provider.wsconnected : this.socket.status === 'connected')
  }

  // Numbers of those who are here, as far as it knows.
  knows () { return [...this.provider.awareness.getStates().values()].map(state => state.number).sort() }

  goOffline () { (this.socket ?? this.provider).disconnect() }

  // Hocuspocus' provider takes no notice of connect() until it has heard that its socket is closed, and then stays away.
  comeBack () {
    if (this.socket?.status !== 'connected') return (this.socket ?? this.provider).connect()
    const connect = () => {
      this.socket.off('disconnect', connect)
      if (this.isHere) this.socket.connect()
    }
    this.socket.on('disconnect', connect)
  }

  leave () {
    if (!this.isHere) return
    this.isHere = false
    this.provider.destroy()
    this.socket?.destroy()
    this.doc.destroy()
  }

  // One edit of any kind, somewhere.
  edit () {
    const { random } = this
    this.typed++
    switch (random.below(12)) {
      case 0: case 1: case 2: case 3: case 4: return this.editText()
      case 5: case 6: return this.formatText()
      case 7: case 8: return this.editMap()
      case 9: case 10: return this.editArray()
      default: return this.editXml()
    }
  }

  // A range of the text, at most so long, that cuts no character in two: where somebody does, Yjs itself does not
  // converge (the halves become U+FFFD with whoever cuts the item there).
  range (text, most) {
    const characters = text.toString()
    const whole = index => /[\uDC00-\uDFFF]/.test(characters[index] ?? '') ? index - 1 : index
    const from = this.random.below(characters.length + 1)
    return [whole(from), whole(Math.min(characters.length, from + this.random.below(most))) - whole(from)]
  }

  editText () {
    const { random } = this
    const text = this.doc.getText('content')
    const [index, length] = this.range(text, 40)
    if (random.below(MOST_TEXT) < text.length) text.delete(index, length)
    else if (random.once(4)) text.insert(index, random.pick(words), { ...random.pick(attributes) })
    else text.insert(index, random.pick(words))
  }

  formatText () {
    const text = this.doc.getText('content')
    const [index, length] = this.range(text, 20)
    text.format(index, length, { ...this.random.pick(attributes) })
  }

  editMap () {
    const { random } = this
    const map = this.doc.getMap('map')
    const key = `key ${random.below(6)}`
    if (random.once(4)) map.delete(key)
    else if (random.once(3)) map.set(key, new Y.Map([['number', this.typed], ['text', new Y.Text('nested')]]))
    else if (map.get(key) instanceof Y.Map) map.get(key).set('number', this.typed)
    else map.set(key, random.pick([this.typed, 'text', null, true, [1, 2], { a: 1.5 }]))
  }

  editArray () {
    const { random } = this
    const array = this.doc.getArray('array')
    const index = random.below(array.length + 1)
    if (random.below(60) < array.length) array.delete(index, Math.min(array.length - index, random.below(8)))
    else array.insert(index, [random.pick([this.typed, 'text', { a: [1] }])])
  }

  editXml () {
    const { random } = this
    const xml = this.doc.getXmlFragment('xml')
    const index = random.below(xml.length + 1)
    if (random.below(20) < xml.length) xml.delete(index, Math.min(xml.length - index, random.below(4)))
    else if (xml.length > 0 && random.once(2)) xml.get(random.below(xml.length)).setAttribute?.('level', String(random.below(4)))
    else {
      const paragraph = new Y.XmlElement('paragraph')
      paragraph.insert(0, [new Y.XmlText(random.pick(words))])
      xml.insert(index, [paragraph])
    }
  }
}
