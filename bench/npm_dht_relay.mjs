// npm pkarr's relay server as it is, on a private DHT: each GET is a look-up of its own.
// usage: node npm_dht_relay.mjs PORT HOST:PORT…
import DHT from 'pkarr/lib/dht.js'
import Relay from 'pkarr/lib/relay.js'

const [port, ...members] = process.argv.slice(2)
const bootstrap = members.map(text => ({ host: text.split(':')[0], port: Number(text.split(':')[1]) }))
const dht = new DHT({ bootstrap, host: '127.0.0.1', storage: { loadRoutingTable () {}, saveRoutingTable () {} } })
await new Promise(resolve => dht._dht.once('ready', resolve))
const log = console.log
console.log = () => {} // the relay reports every request on standard output
await new Relay({ dht }).listen(Number(port))
log('ready')
