// Are we connected?  Said in words, aloud for those who listen, and in body[data-connection].

const words = {
  connecting: 'connecting…',
  live: 'live',
  offline: 'offline: your edits are kept here',
  closed: 'deleted: your edits are kept only here'
}

export function showConnection (provider, offline) {
  const label = document.getElementById('connection-text')
  let failed = false
  let closed = false

  const show = () => {
    const state = closed ? 'closed' : provider.wsconnected && provider.synced ? 'live' : failed ? 'offline' : 'connecting'
    if (document.body.dataset.connection !== state || label.textContent !== words[state]) {
      document.body.dataset.connection = state
      label.textContent = words[state]
    }
  }

  provider.on('status', ({ status }) => {
    failed = status !== 'connected'
    show()
  })
  provider.on('sync', show)
  provider.on('connection-close', () => {
    failed = true
    show()
  })
  // the relay has sent us away for good, and the provider does not come back
  provider.on('closed', () => {
    closed = true
    show()
  })
  // no need to wait for a time-out when the browser knows
  window.addEventListener('offline', () => provider.disconnect())
  window.addEventListener('online', () => closed || provider.connect())
  offline.once('synced', show)
  show()
}
