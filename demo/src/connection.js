// Are we connected?  Said in words, aloud for those who listen, and in body[data-connection].

const words = {
  connecting: 'connecting…',
  live: 'live',
  offline: 'offline: your edits are kept here'
}

export function showConnection (provider, offline) {
  const label = document.getElementById('connection-text')
  let failed = false

  const show = () => {
    const state = provider.wsconnected && provider.synced ? 'live' : failed ? 'offline' : 'connecting'
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
  // no need to wait for a time-out when the browser knows
  window.addEventListener('offline', () => provider.disconnect())
  window.addEventListener('online', () => provider.connect())
  offline.once('synced', show)
  show()
}
