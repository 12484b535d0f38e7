"""The process that is a member of the DHT for a client: it asks and puts what it is told to, and has no secret.

It is told lines of JSON on its standard input, answers in lines on its standard output, and ends with its input. Run as
``python -m walletcli.client.dht_process ADDRESS``.

    {"id": N, "get": KEY}                  {"id": N, "payload": PAYLOAD or null, "answered": N, "twice": [PAYLOAD…]}
    {"id": N, "put": KEY, "payload": …, "cas": N/null}  {"id": N, "stored": N}
                                                        {"id": N, "error": CODE}

Keys and relay payloads are in hexadecimal; `answered` is how many nodes have answered, `twice` what was met with one
`seq` and two values, in pairs.

Spec: docs/spec/resolution.md, "The DHT as a source".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from walletcli.errors import NetworkError, WalletError
from walletcli.net.addresses import NodeAddress

if TYPE_CHECKING:
    from walletcli.dht.mainline import Mainline
    from walletcli.dht.messages import Item
    from walletcli.dht.settings import Settings

JOIN_S: Final = 5.0
"""How long a newcomer may take to meet a first member, in seconds."""

SETTLE_S: Final = 0.5
"""After so long without meeting another member, those that were met are all there are, in seconds."""

ENOUGH: Final = 8
"""Members that a look-up wants to start from."""

AT_ONCE: Final = 8
"""Look-ups under way."""

_LOOK_S: Final = 0.02
_LINE_BYTES: Final = 4096
_MAX_WAITING: Final = 256


def settings_of(address: NodeAddress) -> Settings:
    """Return how a client takes part: on any port, answering nobody, entered by the members that the address names."""
    import ipaddress

    from walletcli.dht.settings import PUBLIC_BOOTSTRAP, Settings

    numeric, named = [], []
    for host, port in address.members:
        try:
            numeric.append((str(ipaddress.ip_address(host)), port))
        except ValueError:
            named.append((host, port))
    is_public = any(ipaddress.ip_address(host).is_global for host, _ in numeric)
    listen = (("127.0.0.1" if address.is_loopback else "0.0.0.0", 0),)  # noqa: S104 - strangers have to reach it
    return Settings(
        listen,
        bootstrap=tuple(named) if address.members else PUBLIC_BOOTSTRAP,
        peers=tuple(numeric),
        private=address.is_loopback or (bool(numeric) and not is_public),
        read_only=True,
    )


async def meet(mainline: Mainline, join_s: float = JOIN_S) -> None:
    """Wait until enough members are known, or those that there are; or until nobody was met in `join_s` seconds."""
    loop = asyncio.get_running_loop()
    started = changed = loop.time()
    known = 0
    while known < ENOUGH and loop.time() - started < join_s:
        await asyncio.sleep(_LOOK_S)
        now = mainline.session.nodes
        if now != known:
            known, changed = now, loop.time()
        elif known and loop.time() - changed > SETTLE_S:
            return


async def serve(address: NodeAddress) -> None:
    """Join, answer each question, and leave when there are no more."""
    from walletcli.dht.mainline import Mainline

    loop = asyncio.get_running_loop()
    questions = asyncio.StreamReader(limit=_LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    joining = asyncio.ensure_future(_joined(Mainline.join(settings_of(address))))
    tasks: set[asyncio.Task[None]] = set()
    limit = asyncio.Semaphore(AT_ONCE)
    try:
        with contextlib.suppress(ValueError):  # a line that is too long
            while line := await questions.readline():
                if len(tasks) >= _MAX_WAITING:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.create_task(_answer(line, joining, limit))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
    finally:
        for task in tasks:
            task.cancel()
        joining.cancel()
        with contextlib.suppress(asyncio.CancelledError, WalletError):
            await (await joining).close()


async def _joined(joining: Any) -> Mainline:
    mainline: Mainline = await joining
    await meet(mainline)
    return mainline


async def _answer(line: bytes, joining: asyncio.Future[Mainline], limit: asyncio.Semaphore) -> None:
    question = json.loads(line)
    try:
        mainline = await asyncio.shield(joining)
        async with limit:
            said = await _done(question, mainline)
    except WalletError as error:
        said = {"error": error.code}
    answer = json.dumps({"id": question["id"], **said}) + "\n"
    rest = answer.encode("ascii")
    while rest:  # nothing else writes meanwhile: a pipe need not take it in one piece
        rest = rest[os.write(1, rest) :]


async def _done(question: dict[str, Any], mainline: Mainline) -> dict[str, object]:
    from walletcli.dht.messages import Item

    if "get" in question:
        found = await mainline.look_up(bytes.fromhex(question["get"]))
        newest = _payload_hex(found.item) if found.item is not None else None
        return {"payload": newest, "answered": found.answered, "twice": [_payload_hex(item) for item in found.twice]}
    payload = bytes.fromhex(question["payload"])
    item = Item(bytes.fromhex(question["put"]), int.from_bytes(payload[64:72], "big"), payload[:64], payload[72:])
    kept = await mainline.put(item, question["cas"])
    if not kept.nearest:
        raise NetworkError("dht.unreachable", "no node of the DHT answers")
    return {"stored": kept.stored}


def _payload_hex(item: Item) -> str:
    return (item.signature + item.seq.to_bytes(8, "big") + item.value).hex()


def main() -> None:
    """Serve the DHT that the command line names."""
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        asyncio.run(serve(NodeAddress.from_relay_text(sys.argv[1])))


if __name__ == "__main__":
    main()
