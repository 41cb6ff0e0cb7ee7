// What the benches' JavaScript shares with its C: streams of updates, each behind its length; hashes that both print.
export function splitUpdates (stream) {
  const updates = []
  for (let at = 0; at < stream.length;) {
    const length = stream.readUInt32LE(at)
    updates.push(new Uint8Array(stream.subarray(at + 4, at + 4 + length)))
    at += 4 + length
  }
  return updates
}

// FNV-1a, 32 bits, as hash_bytes of measure.c.
export function hash (bytes) {
  let hash = 2166136261
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 16777619)
  return hash >>> 0
}
