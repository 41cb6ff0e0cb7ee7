// A strict reader of OpenMetrics 1.0 text, as far as the relay uses it: throws on what is malformed.
//
//     const families = openMetrics(text)
//     families.get('ydoc_relay_commit_seconds') -> { type: 'histogram', unit: 'seconds', help, samples }
//     value(families, 'ydoc_relay_connections') -> the sum over all labels
import assert from 'node:assert/strict'

const name = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const suffixes = { counter: ['_total'], gauge: [''], histogram: ['_bucket', '_sum', '_count'], info: ['_info'] }

export function openMetrics (text) {
  const lines = text.split('\n')
  assert.equal(lines.pop(), '', 'the last line ends')
  assert.equal(lines.pop(), '# EOF')
  const families = new Map()
  let family
  for (const line of lines) {
    const meta = new RegExp(`^# (TYPE|UNIT|HELP) (${name}) (.+)$`).exec(line)
    if (meta) {
      const [, kind, of, rest] = meta
      if (family?.name !== of) {
        assert.ok(!families.has(of), `${of} stands together`)
        family = { name: of, samples: [] }
        families.set(of, family)
      }
      assert.equal(family.samples.length, 0, `${line} stands before the samples`)
      assert.equal(family[kind.toLowerCase()], undefined, `${line} stands once`)
      family[kind.toLowerCase()] = rest
      continue
    }
    const sample = new RegExp(`^(${name})(\\{([^}]*)\\})? (\\S+)$`).exec(line)
    assert.ok(sample, `this is a sample: ${line}`)
    const [, full, , labelText, number] = sample
    const suffix = suffixes[family.type]?.find(each => full === family.name + each)
    assert.notEqual(suffix, undefined, `${full} belongs to ${family.name}, a ${family.type}`)
    const labels = {}
    for (const label of labelText ? labelText.split(',') : []) {
      const pair = /^([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\\n]*)"$/.exec(label)
      assert.ok(pair, `this is a label: ${label}`)
      assert.ok(!(pair[1] in labels))
      labels[pair[1]] = pair[2]
    }
    assert.match(number, /^-?\d+(\.\d+)?$/)
    family.samples.push({ suffix, labels, value: Number(number) })
  }
  for (const family of families.values()) check(family)
  return families
}

function check (family) {
  const { name, type, unit, help, samples } = family
  assert.ok(type in suffixes, `${name} has a type`)
  assert.ok(help, `${name} has help`)
  if (unit) assert.ok(name.endsWith(`_${unit}`), `${name} ends in its unit`)
  assert.ok(!/_(bytes|seconds|ratio)$/.test(name) || unit, `${name} tells its unit`)
  assert.ok(!/_(total|sum|count|bucket|info)$/.test(name))
  const keys = samples.map(sample => sample.suffix + JSON.stringify(sample.labels))
  assert.equal(new Set(keys).size, keys.length, `samples of ${name} are there once`)
  if (type === 'counter') for (const { value } of samples) assert.ok(value >= 0)
  if (type === 'histogram') checkHistogram(family)
}

function checkHistogram ({ name, samples }) {
  const groups = Map.groupBy?.(samples, groupOf) ?? groupBy(samples, groupOf)
  for (const group of groups.values()) {
    const buckets = group.filter(sample => sample.suffix === '_bucket')
    const bounds = buckets.map(sample => sample.labels.le === '+Inf' ? Infinity : Number(sample.labels.le))
    for (let i = 1; i < buckets.length; i++) {
      assert.ok(bounds[i - 1] < bounds[i], `bounds of ${name} rise`)
      assert.ok(buckets[i - 1].value <= buckets[i].value, `buckets of ${name} add up`)
    }
    assert.equal(bounds.at(-1), Infinity)
    const one = suffix => group.filter(sample => sample.suffix === suffix)
    assert.equal(one('_count').length, 1)
    assert.equal(one('_sum').length, 1)
    assert.equal(one('_count')[0].value, buckets.at(-1).value)
  }
}

const groupOf = ({ labels: { le, ...others } }) => JSON.stringify(others)

function groupBy (list, keyOf) {
  const groups = new Map()
  for (const each of list) groups.set(keyOf(each), [...groups.get(keyOf(each)) ?? [], each])
  return groups
}

// The sum of a family's samples with that suffix; of a counter or gauge it need not be told.
export function value (families, of, suffix) {
  const family = families.get(of)
  assert.ok(family, `there is a family ${of}`)
  const wanted = suffix ?? suffixes[family.type][0]
  return family.samples.filter(sample => sample.suffix === wanted).reduce((sum, sample) => sum + sample.value, 0)
}
