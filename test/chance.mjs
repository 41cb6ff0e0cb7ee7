// Chance that can be had again: the same choices from the same seed.
//
//     const { below, pick, once } = chance(7)
//     const typing = chance(7, 'typing')       a stream of its own: what one draws does not change what another will

// Numbers of 32 bits (mulberry32 by Tommy Ettinger, public domain).
export function generator (seed) {
  let state = seed | 0
  return () => {
    state = (state + 0x6D2B79F5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (t ^ (t >>> 14)) >>> 0
  }
}

export function chance (...seeds) {
  const bits = generator(seeds.length === 1 ? seeds[0] : mixed(seeds))
  const next = () => bits() / 4294967296
  const below = n => Math.floor(next() * n)
  return {
    next,
    below,
    between: (least, most) => least + next() * (most - least),
    pick: list => list[below(list.length)],
    once: n => below(n) === 0, // in n times
    some: (least, most, make) => Array.from({ length: least + below(most - least + 1) }, make)
  }
}

function mixed (seeds) {
  let state = 0
  for (const seed of seeds) for (const character of String(seed)) state = Math.imul(state ^ character.codePointAt(0), 0x5bd1e995) + 1 | 0
  return state
}
