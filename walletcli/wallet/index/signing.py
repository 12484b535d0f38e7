"""Opens and signs shards where the seed is; and how a command asks whoever holds it.

Spec: docs/spec/wallet-index.md, "Writing"; docs/spec/agent.md, kinds 24 and 25.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from walletcli.core.keys import KeyTree
from walletcli.core.packet import SignedPacket
from walletcli.core.record import next_seq
from walletcli.core.wallet_index import ShardContent, open_shard, seal_shard
from walletcli.errors import InputError
from walletcli.wallet.access import wire
from walletcli.wallet.index.book import DRAWER, IndexBook
from walletcli.wallet.index.carried import require_batch
from walletcli.wallet.state.wallet_state import WALLET_DRAWER, WalletState

if TYPE_CHECKING:
    from walletcli.wallet.access.session import Session


def opened(tree: KeyTree, number: int, payload: bytes | None) -> list[object]:
    """Return the public key of a shard, and the padded content of a packet of that key (None without one).

    Raises:
        FormatError: ``wallet-index.*``, ``packet.*``, ``dns.*``, ``cbor.*``.
        VerificationError: ``signature.invalid``, ``wallet-index.damaged``.
    """
    key = tree.index_key(number)
    if payload is None:
        return [key.public_key, None]
    content = open_shard(key, number, SignedPacket.from_relay_payload(key.public_key, payload))
    return [key.public_key, content.to_bytes()]


def signed(
    tree: KeyTree,
    state: WalletState,
    number: int,
    content: ShardContent,
    above: int,
    now_s: float,
    entropy: Callable[[int], bytes],
) -> tuple[WalletState, bytes]:
    """Sign a shard with a `seq` that was never used; the state that remembers it has to be written first.

    Args:
        tree: the keys.
        state: what the wallet holds.
        number: of the shard.
        content: what it says.
        above: highest `seq` that relays have shown, or -1.
        now_s: this machine's clock, Unix time in seconds.
        entropy: gives as many random bytes as asked.

    Returns:
        The state, and the relay payload.

    Raises:
        InputError: ``wallet-index.no-shard``, ``wallet-index.full``, ``seq.exhausted``.
    """
    data = state.drawers.get((WALLET_DRAWER, DRAWER))
    book = IndexBook.from_bytes(data) if data is not None else IndexBook()
    if number >= len(book.shards):
        raise InputError("wallet-index.no-shard", f"the wallet index has no shard {number}", "walletcli sync")
    shard = book.shards[number]
    last = max(above, shard.seq if shard.seq is not None else -1)
    seq = next_seq(last if last >= 0 else None, now_s, entropy)
    packet = seal_shard(tree.index_key(number), number, content, seq, entropy)
    book = book.put(number, replace(shard, content=replace(content, shards=None), seq=seq))
    drawers = {**state.drawers, (WALLET_DRAWER, DRAWER): book.to_bytes()}
    return replace(state, drawers=drawers), packet.to_relay_payload()


def due_s(state: WalletState) -> int | None:
    """Return the next slot of the wallet index (Unix time in seconds), 0 if there is no plan yet; None: it is off.

    Raises:
        FormatError: ``index-book.*``.
    """
    data = state.drawers.get((WALLET_DRAWER, DRAWER))
    return IndexBook.from_bytes(data).next_s if data is not None else 0


def shard_key(session: Session, number: int) -> bytes:
    """Return the public key of a shard, 32 bytes; a wallet without words knows those that it carries.

    Raises:
        SignerError: ``wallet.watch-only``.
        FormatError, VerificationError: as `read_batch`.
    """
    if session.facts().watch:
        return require_batch(session).keys[number]
    key, _ = cast("list[object]", session.ask(wire.OPEN_SHARD, number, None))
    return cast("bytes", key)


def open_with(session: Session, number: int, packet: SignedPacket) -> ShardContent:
    """Have a shard opened by whoever holds the seed.

    Raises:
        SignerError: ``wallet.watch-only``.
        FormatError: ``wallet-index.*``.
        VerificationError: ``wallet-index.damaged``, ``signature.invalid``.
    """
    _, content = cast("list[object]", session.ask(wire.OPEN_SHARD, number, packet.to_relay_payload()))
    return ShardContent.from_bytes(cast("bytes", content), number)


def sign_with(session: Session, number: int, content: ShardContent, above: int) -> SignedPacket:
    """Have a shard signed by whoever holds the seed; its `seq` is in the vault when this returns.

    Raises:
        SignerError: ``wallet.watch-only``.
        InputError: ``wallet-index.no-shard``, ``seq.exhausted``.
    """
    payload = cast("bytes", session.ask(wire.SIGN_SHARD, number, content.to_bytes(), above + 1))
    return SignedPacket.from_relay_payload(shard_key(session, number), payload)
