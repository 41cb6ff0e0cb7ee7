// Keeps what a measurement in SQL has noted (a line of JSON each) and prints it.
// usage: node record.mjs MEASUREMENT [ERROR]; ends with status 1 if it failed or a target was missed
import { readFileSync } from 'node:fs'

import { openReport, show } from '../report.mjs'

const [measurement, error] = process.argv.slice(2)
const records = readFileSync(0, 'utf8').split('\n').filter(Boolean).map(line => JSON.parse(line))
const report = openReport('sql')

await report.scenario(measurement, async ({ table, target, plot }) => {
  const figures = records.filter(({ kind }) => kind === 'figure')
  if (figures.length > 0) {
    table(measurement, figures.map(({ what, measured, unit, at_most: atMost, at_least: atLeast }) => ({
      what,
      measured: `${show(measured)} ${unit}`,
      target: atMost !== null ? `at most ${show(atMost)} ${unit}` : atLeast !== null ? `at least ${show(atLeast)} ${unit}` : '',
      met: atMost === null && atLeast === null ? '' : measured <= atMost || (atLeast !== null && measured >= atLeast) ? 'met' : 'missed'
    })))
  }
  // a figure whose name is indented belongs to the one before
  let subject = ''
  for (const { what, measured, unit, at_most: atMost, at_least: atLeast } of figures) {
    if (!what.startsWith(' ')) subject = what
    const name = what.startsWith(' ') ? `${subject}: ${what.trim()}` : what
    if (atMost !== null) target(name, measured, atMost, unit)
    else if (atLeast !== null) target(name, measured, atLeast, unit, true)
  }
  for (const { kind, title, rows, file, ...axes } of records) {
    if (kind === 'table') table(title, rows)
    if (kind === 'plot') plot(file, title, axes)
  }
  if (error) throw new Error(error.replace(/\s+/g, ' '))
})
const whole = report.verdicts.every(({ met }) => met)
for (const { what, target, measured, met } of report.verdicts) if (!met) console.log(`missed: ${what}: ${target}, measured ${measured}`)
process.exitCode = whole && !error ? 0 : 1
