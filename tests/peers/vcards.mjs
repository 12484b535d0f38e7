// npm ical.js parses a file of vCards; prints [[[property, parameters, type, values…] …] …] as JSON.
import { readFileSync } from 'node:fs'
import ICAL from 'ical.js'

const parsed = ICAL.parse(readFileSync(process.argv[2], 'utf8'))
const cards = typeof parsed[0] === 'string' ? [parsed] : parsed
console.log(JSON.stringify(cards.map(([name, properties]) => {
  if (name !== 'vcard') throw new Error(`not a vCard: ${name}`)
  return properties
})))
