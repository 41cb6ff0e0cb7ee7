// A link: TCP or Unix sockets through this process, where it can be cut, held, slowed down.
//
//     const link = await openLink({ to: () => ({ port: 1234 }) })       listens on link.port
//     const link = await openLink({ path, to: () => path2 })            listens on a Unix socket
//     link.hold()        nothing arrives any more, nobody is told; release() lets all of it go on
//     link.cut()         all connections break, new ones work; refuse() breaks those too
//     link.delay(200)    milliseconds, each way; link.throttle(20000) bytes a second
//     link.swallow()     what the far end answers is lost; until cut()
//
// Bytes are never reordered and none is lost in the middle: TCP would not.
import { connect, createServer } from 'node:net'

const MOST_QUEUED = 1 << 18

export async function openLink ({ path, to }) {
  const pairs = new Set()
  const state = { isHeld: false, isRefusing: false, isSwallowing: false, delay: 0, rate: Infinity }

  const server = createServer({ allowHalfOpen: true }, near => {
    if (state.isRefusing) {
      near.destroy()
      return
    }
    const far = connect(to())
    far.allowHalfOpen = true
    const pair = { near, far, ways: [new Way(near, far, state, false), new Way(far, near, state, true)] }
    pairs.add(pair)
    const end = () => {
      near.destroy()
      far.destroy()
      pairs.delete(pair)
    }
    // an error or a reset passes at once; an orderly end passes behind the bytes before it
    for (const socket of [near, far]) {
      socket.on('error', end)
      socket.on('close', () => { if (socket.errored || !pair.ways.some(way => way.isBusy)) end() })
    }
    for (const way of pair.ways) way.done = end
  })
  await new Promise(resolve => server.listen(path ?? { port: 0, host: '127.0.0.1' }, resolve))

  const pump = () => { for (const { ways } of pairs) for (const way of ways) way.pump() }
  const link = {
    port: path ? undefined : server.address().port,
    get connections () { return pairs.size },
    hold () { state.isHeld = true },
    release () {
      state.isHeld = false
      pump()
    },
    delay (milliseconds) { state.delay = milliseconds },
    throttle (bytes) { state.rate = bytes },
    swallow () { state.isSwallowing = true },
    refuse (is = true) {
      state.isRefusing = is
      if (is) link.cut()
    },
    cut () {
      for (const { near, far } of pairs) {
        if (near.remotePort !== undefined) near.resetAndDestroy() // not an orderly end
        near.destroy()
        far.destroy()
      }
      pairs.clear()
      state.isSwallowing = false
    },
    heal () {
      Object.assign(state, { isRefusing: false, delay: 0, rate: Infinity })
      link.release()
    },
    async close () {
      link.cut()
      await new Promise(resolve => server.close(resolve))
    }
  }
  return link
}

// One direction of a connection.
class Way {
  constructor (from, to, state, isAnswer) {
    Object.assign(this, { from, to, state, isAnswer, queue: [], queued: 0, freeAt: 0, isWaiting: false, hasEnded: false })
    from.on('data', chunk => {
      if (isAnswer && state.isSwallowing) return
      this.queue.push({ chunk, at: Date.now() + state.delay })
      this.queued += chunk.length
      if (this.queued > MOST_QUEUED) from.pause()
      this.pump()
    })
    from.on('end', () => {
      this.hasEnded = true
      this.pump()
    })
    to.on('drain', () => {
      this.isWaiting = false
      this.pump()
    })
  }

  get isBusy () { return this.queue.length > 0 }

  pump () {
    while (this.queue.length > 0 && !this.isWaiting && !this.state.isHeld && !this.to.destroyed) {
      const { chunk, at } = this.queue[0]
      const now = Date.now()
      const wait = Math.max(at, this.freeAt) - now
      if (wait > 0) {
        this.isWaiting = true
        setTimeout(() => {
          this.isWaiting = false
          this.pump()
        }, wait)
        return
      }
      this.queue.shift()
      this.queued -= chunk.length
      if (this.state.rate !== Infinity) this.freeAt = now + chunk.length / this.state.rate * 1000
      if (!this.to.write(chunk)) this.isWaiting = true
    }
    if (this.queued < MOST_QUEUED && this.from.isPaused() && !this.from.destroyed) this.from.resume()
    if (this.hasEnded && this.queue.length === 0 && !this.state.isHeld) {
      if (this.to.writableEnded) return
      this.to.end()
      if (this.from.writableEnded) this.done?.()
    }
  }
}
