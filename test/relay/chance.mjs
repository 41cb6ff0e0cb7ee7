// Chance that can be had again: the same choices from the same seed (mulberry32).
//
//     const { below, pick } = chance(7)
export function chance (seed) {
  let state = seed
  const next = () => {
    state = (state + 0x6D2B79F5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const below = n => Math.floor(next() * n)
  return { below, pick: list => list[below(list.length)] }
}
