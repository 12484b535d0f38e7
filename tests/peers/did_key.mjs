// npm key-did-resolver reads a did:key; prints its resolution result as JSON.
import { getResolver } from 'key-did-resolver'

const did = process.argv[2]
const [, , id] = did.split(':')
const accept = { accept: 'application/did+json' }
console.log(JSON.stringify(await getResolver().key(did, { method: 'key', id, did, didUrl: did }, {}, accept)))
