// npm pkarr's own relay on loopback, over a map in memory in place of the DHT. The map follows BEP44: never an older item.
// With the argument "tamper" it turns a bit of every signature that it gives out. Prints one line of JSON when it listens.
import http from 'node:http'
import Relay from './node_modules/pkarr/lib/relay.js'

const items = new Map()
const name = key => Buffer.from(key).toString('hex')
const memory = {
  async get (key) {
    const item = items.get(name(key))
    return item ? { ...item, nodes: [] } : null
  },
  async put (item) {
    const held = items.get(name(item.k))
    if (held && held.seq > item.seq) throw new Error('302: an older sequence number')
    items.set(name(item.k), item)
    return { nodes: [] }
  },
  async destroy () {}
}

if (process.argv[2] === 'tamper') {
  const { end } = http.ServerResponse.prototype
  http.ServerResponse.prototype.end = function (body, ...rest) {
    if (!(body instanceof Uint8Array)) return end.call(this, body, ...rest)
    const turned = Buffer.from(body)
    turned[7] ^= 1
    return end.call(this, turned, ...rest)
  }
}

console.log = () => {} // the relay reports every request on standard output
const relay = new Relay({ dht: memory })
await relay.listen(0)
process.stdout.write(JSON.stringify({ url: `http://127.0.0.1:${relay.port}` }) + '\n')
