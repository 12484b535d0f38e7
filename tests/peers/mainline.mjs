// npm bittorrent-dht: nodes on loopback. Arguments: how many, then HOST:PORT of members to start from.
// Prints one line of JSON when they listen, then answers each line of JSON on standard input with one:
//   {"get": KEY}                      the item of a key, as a node of its own finds it; null if there is none
//   {"put": TEXT, "seq": N}           signs TEXT with a new key and puts it
import DHT from 'bittorrent-dht'
import { createHash } from 'node:crypto'
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

const nodes = []
for (let i = 0; i < Number(count); i++) nodes.push(await start())
console.log(JSON.stringify({ ports: nodes.map(node => node.address().port) }))
for await (const line of readline.createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line)
  try {
    const answer = 'get' in asked ? await get(nodes[0], asked.get) : await put(nodes[0], asked.put, asked.seq)
    console.log(JSON.stringify({ answer }))
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }))
  }
}
process.exit(0)
