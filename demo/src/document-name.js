// Which document: the part of the address after #, so that an address can be passed on.

export function documentName () {
  const fromHash = decodeURIComponent(location.hash.slice(1))
  const fromQuery = new URLSearchParams(location.search).get('document')
  return fromHash || fromQuery || 'welcome'
}

// The form that opens another one.
export function offerOtherDocuments (current) {
  const field = document.getElementById('document')
  field.value = current
  document.getElementById('open').addEventListener('submit', event => {
    event.preventDefault()
    location.hash = encodeURIComponent(field.value.trim())
  })
  window.addEventListener('hashchange', () => location.reload())
}
