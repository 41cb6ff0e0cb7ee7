// Who is here: my name and colour, kept in this browser, and a list of everybody's.

const animals = ['Otter', 'Heron', 'Badger', 'Finch', 'Lynx', 'Marten', 'Plover', 'Hare', 'Newt', 'Wren']
const colours = ['#1f5fa8', '#a8431f', '#1a7f4b', '#7a3fa0', '#946300', '#0f7c86', '#b0256b', '#52621a']

const pick = list => list[Math.floor(Math.random() * list.length)]

// Storage may be forbidden; then the name lasts as long as the page.
function remembered (key, fallback) {
  try {
    const value = localStorage.getItem(key) ?? fallback()
    localStorage.setItem(key, value)
    return value
  } catch {
    return fallback()
  }
}

export function showPeople (awareness) {
  const field = document.getElementById('name')
  const list = document.getElementById('people')
  const colour = remembered('pg_ydoc colour', () => pick(colours))

  field.value = remembered('pg_ydoc name', () => pick(animals))

  const introduce = () => {
    const name = field.value.trim() || 'Somebody'
    try {
      localStorage.setItem('pg_ydoc name', name)
    } catch {}
    awareness.setLocalStateField('user', { name, color: colour, colorLight: `${colour}33` })
  }

  const show = () => {
    const entries = [...awareness.getStates()]
      .filter(([, state]) => state.user)
      .map(([client, { user }]) => {
        const item = document.createElement('li')
        item.textContent = client === awareness.clientID ? `${user.name} (you)` : user.name
        item.style.setProperty('--colour', String(user.color))
        return item
      })
    list.replaceChildren(...entries)
  }

  document.getElementById('me').addEventListener('submit', event => event.preventDefault())
  field.addEventListener('input', introduce)
  awareness.on('change', show)
  introduce()
  show()
}
