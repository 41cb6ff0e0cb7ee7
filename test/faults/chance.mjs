// Seeded randomness (mulberry32).  Each part of a run has a stream of its own, so that what one draws does not
// change what another will.
export function chance (...seeds) {
  let state = 0
  for (const seed of seeds) for (const character of String(seed)) state = Math.imul(state ^ character.codePointAt(0), 0x5bd1e995) + 1 | 0
  const next = () => {
    state = (state + 0x6D2B79F5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const below = n => Math.floor(next() * n)
  return {
    next,
    below,
    between: (least, most) => least + next() * (most - least),
    pick: list => list[below(list.length)],
    once: n => below(n) === 0
  }
}
