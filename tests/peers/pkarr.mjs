// npm pkarr as a client. Prints one line of JSON.
//   put RELAY TEXT SEQ   makes a key and a packet with TEXT in a TXT, and stores it at RELAY
//   get RELAY Z32        fetches and verifies
//   read Z32 PAYLOAD     verifies a relay payload given in hexadecimal
//   send RELAY Z32 PAYLOAD   stores a relay payload given in hexadecimal
import { Pkarr, SignedPacket, z32 } from 'pkarr'

const [command, ...args] = process.argv.slice(2)
const hex = bytes => Buffer.from(bytes).toString('hex')
const show = packet => ({
  z32: z32.encode(packet.publicKey()),
  seq: packet.timestamp(),
  payload: hex(packet.bytes()),
  texts: packet.packet().answers.filter(a => a.type === 'TXT').map(a => [a.name, Buffer.concat(a.data).toString()])
})

async function run () {
  if (command === 'put') {
    const [relay, text, seq] = args
    const packet = SignedPacket.fromPacket(
      Pkarr.generateKeyPair(),
      { id: 0, type: 'response', flags: 0, answers: [{ name: '_text', type: 'TXT', ttl: 300, data: text }] },
      { timestamp: Number(seq) }
    )
    const answer = await Pkarr.relayPut(relay, packet)
    return { status: answer.status, ...show(SignedPacket.fromBytes(packet.publicKey(), packet.bytes())) }
  }
  if (command === 'get') return show(await Pkarr.relayGet(args[0], z32.decode(args[1])))
  if (command === 'read') return show(SignedPacket.fromBytes(z32.decode(args[0]), Buffer.from(args[1], 'hex')))
  if (command === 'send') {
    const packet = SignedPacket.fromBytes(z32.decode(args[1]), Buffer.from(args[2], 'hex'))
    return { status: (await Pkarr.relayPut(args[0], packet)).status }
  }
  throw new Error(`unknown command ${command}`)
}

try {
  console.log(JSON.stringify(await run()))
} catch (error) {
  console.log(JSON.stringify({ error: error.message }))
}
process.exit(0)
