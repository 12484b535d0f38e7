// The client of Ledger's maker (@ledgerhq/hw-app-solana) asks a device for its key and has it sign a message, which
// @solana/offchain-messages makes of a text, reads again and verifies. What goes to the device is printed as
// {"apdu": HEX}, its answer is a line of hexadecimal on standard input; at the end, what came of it.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'
import {
  compileOffchainMessageEnvelope, getOffchainMessageDecoder, getOffchainMessageEncoder, offchainMessageApplicationDomain,
  verifyOffchainMessageEnvelope
} from '@solana/offchain-messages'
import { getAddressDecoder } from '@solana/addresses'

const require = createRequire(import.meta.url)
const Transport = require('@ledgerhq/hw-transport').default
const Solana = require('@ledgerhq/hw-app-solana').default
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const print = (value) => process.stdout.write(JSON.stringify(value) + '\n')

class Lines extends Transport {
  async exchange (apdu) {
    print({ apdu: apdu.toString('hex') })
    return Buffer.from((await lines.next()).value, 'hex')
  }

  setScrambleKey () {}
}

const [path, domain, text, foreign] = process.argv.slice(2)
const solana = new Solana(new Lines())
const { version } = await solana.getAppConfiguration()
const { address: key } = await solana.getAddress(path)
const address = getAddressDecoder().decode(key)
const message = {
  version: 0,
  applicationDomain: offchainMessageApplicationDomain(getAddressDecoder().decode(Buffer.from(domain, 'hex'))),
  content: { format: 0, text },
  requiredSignatories: [{ address }]
}
const content = Buffer.from(getOffchainMessageEncoder().encode(message))
const envelope = compileOffchainMessageEnvelope(message)
const { signature } = await solana.signOffchainMessage(path, content)
const holds = async (bytes) => {
  try {
    await verifyOffchainMessageEnvelope({ content: envelope.content, signatures: { [address]: bytes } })
    return true
  } catch {
    return false
  }
}
const flipped = new Uint8Array(signature)
flipped[7] ^= 1
print({
  version,
  key: key.toString('hex'),
  content: content.toString('hex'),
  same: content.equals(Buffer.from(envelope.content)),
  text: getOffchainMessageDecoder().decode(content).content.text,
  signature: signature.toString('hex'),
  holds: await holds(new Uint8Array(signature)),
  foreign: await holds(new Uint8Array(Buffer.from(foreign, 'hex'))),
  flipped: await holds(flipped)
})
