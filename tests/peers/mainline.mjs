// npm bittorrent-dht: nodes on loopback. Arguments: how many, then HOST:PORT of members to start from.
// Prints one line of JSON when they listen, then answers each line of JSON on standard input with one:
//   {"get": KEY}                      the item of a key, as a node of its own finds it; null if there is none
//   {"put": TEXT, "seq": N}           signs TEXT with a new key and puts it
//   {"pkarr get": Z32}                npm pkarr's own look-up in the DHT, verified and decoded as a packet; null if none
//   {"pkarr put": TEXT, "seq": N}     npm pkarr makes and signs a packet with TEXT in a TXT, and puts it
import DHT from 'bittorrent-dht'
import { createHash } from 'node:crypto'
import { SignedPacket, generateKeyPair, z32 } from 'pkarr'
import Pkarr from 'pkarr/lib/dht.js'
import readline from 'node:readline'
import sodium from 'sodium-universal'

const [count, ...members] = process.argv.slice(2)
const bootstrap = members.map(text => ({ host: text.split(':')[0], port: Number(text.split(':')[1]) }))
const hex = bytes => Buffer.from(bytes).toString('hex')
const verify = (signature, message, key) =>
  sodium.crypto_sign_verify_detached(Buffer.from(signature), Buffer.from(message), Buffer.from(key))

async function start () {
  const node = new DHT({ bootstrap: bootstrap.length ? bootstrap : false, verify, host: '127.0.0.1' })
  await new Promise(resolve => node.listen(0, '127.0.0.1', resolve))
  if (bootstrap.length) await new Promise(resolve => node.once('ready', resolve))
  bootstrap.push({ host: '127.0.0.1', port: node.address().port })
  return node
}

function get (node, key) {
  const target = createHash('sha1').update(Buffer.from(key, 'hex')).digest()
  return new Promise((resolve, reject) => {
    node.get(target, { cache: false }, (error, found) => {
      if (error) reject(error)
      else resolve(found && { key: hex(found.k), seq: found.seq, signature: hex(found.sig), value: hex(found.v) })
    })
  })
}

function put (node, text, seq) {
  const key = Buffer.alloc(32)
  const secret = Buffer.alloc(64)
  sodium.crypto_sign_keypair(key, secret)
  const sign = message => {
    const signature = Buffer.alloc(64)
    sodium.crypto_sign_detached(signature, Buffer.from(message), secret)
    return signature
  }
  return new Promise((resolve, reject) => {
    node.put({ k: key, sign, seq, v: Buffer.from(text) }, (error, hash, nodes) => {
      if (error) reject(error)
      else resolve({ key: hex(key), nodes })
    })
  })
}

let member
function pkarr () { // a member of its own, as npm pkarr makes it; it keeps nothing on the disk
  member ??= new Pkarr({ bootstrap, storage: { loadRoutingTable () {}, saveRoutingTable () {} }, host: '127.0.0.1' })
  return member
}

const shown = packet => ({
  z32: z32.encode(packet.publicKey()),
  seq: packet.timestamp(),
  payload: hex(packet.bytes()),
  texts: packet.packet().answers.filter(a => a.type === 'TXT').map(a => [a.name, Buffer.concat(a.data).toString()])
})

async function pkarrGet (name) {
  const key = z32.decode(name)
  const found = await pkarr().get(key, { fullLookup: true })
  return found && shown(SignedPacket.fromBep44Args(found))
}

async function pkarrPut (text, seq) {
  const packet = SignedPacket.fromPacket(
    generateKeyPair(),
    { id: 0, type: 'response', flags: 0, answers: [{ name: '_text', type: 'TXT', ttl: 300, data: text }] },
    { timestamp: seq }
  )
  const { nodes } = await pkarr().put(packet.bep44Args())
  return { nodes: nodes.length, ...shown(SignedPacket.fromBytes(packet.publicKey(), packet.bytes())) }
}

const answers = {
  get: asked => get(nodes[0], asked.get),
  put: asked => put(nodes[0], asked.put, asked.seq),
  'pkarr get': asked => pkarrGet(asked['pkarr get']),
  'pkarr put': asked => pkarrPut(asked['pkarr put'], asked.seq)
}

const nodes = []
for (let i = 0; i < Number(count); i++) nodes.push(await start())
console.log(JSON.stringify({ ports: nodes.map(node => node.address().port) }))
for await (const line of readline.createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line)
  try {
    const answer = await answers[Object.keys(asked)[0]](asked)
    console.log(JSON.stringify({ answer }))
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }))
  }
}
process.exit(0)
