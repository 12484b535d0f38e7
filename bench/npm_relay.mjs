// npm pkarr's relay server with a map in memory where its DHT would be: its HTTP and verification, and nothing else.
// usage: node npm_relay.mjs PORT
import Relay from 'pkarr/lib/relay.js'

const items = new Map()
const name = key => Buffer.from(key).toString('latin1')
const eight = Array.from({ length: 8 }, () => ({ host: '127.0.0.1', port: 1 }))

const memory = {
  async get (key) {
    const item = items.get(name(key))
    return item ? { ...item, nodes: [] } : null
  },
  async put (item) {
    items.set(name(item.k), item)
    return { nodes: eight }
  },
  async destroy () { items.clear() }
}

const relay = new Relay({ dht: memory })
await relay.listen(Number(process.argv[2]))
console.log('ready')
