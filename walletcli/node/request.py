"""What was asked and by whom, as the routes see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from walletcli.node.limits import bucket_of


@dataclass(slots=True)
class Client:
    """The other side of a connection.

    Attributes:
        bucket: what limits are counted by: the IPv4 address, or the /64 of the IPv6 address, as bytes.
        is_operator: whether the address may see the operator's pages.
        is_proxy: whether it is a web server whose X-Forwarded-For is believed.
    """

    bucket: bytes
    is_operator: bool
    is_proxy: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        return self.bucket[:1] == b"\x7f" if len(self.bucket) == 4 else self.bucket == bytes(8)

    def behind(self, forwarded_for: bytes) -> Client:
        """Return the client that a proxy speaks for: the last address of its X-Forwarded-For, which it wrote itself.

        Where that is no address, the proxy stands for all its clients.
        """
        try:
            bucket = bucket_of(forwarded_for.rpartition(b",")[2].strip().decode("ascii"))
        except ValueError:
            return self
        return Client(bucket, False)


class Room:
    """Room in memory that a body takes, to be given back once, whatever becomes of the request.

    Args:
        give_back: called at the first `release`.
    """

    __slots__ = ("_give_back",)

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        """Give the room back; nothing happens the second time."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """What a body may be.

    Attributes:
        most_bytes: its longest.
        code: the error code for a longer one.
        room: what was set aside for it, or None.
    """

    most_bytes: int
    code: str
    room: Room | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that can be given before a body is read.

    Attributes:
        status: of HTTP.
        code: ours.
        message: a sentence; nothing of the request is in it.
        extra: further header lines, each ended by CR LF.
    """

    status: int
    code: str
    message: str
    extra: bytes = b""


class Request:
    """One request.

    Attributes:
        method: such as ``b"GET"``.
        target: the path and query as received.
        headers: the fields that the node looks at, names in lower case; a repeated field is joined by commas.
        body: the whole body; empty where there is a view of it.
        client: who asks.
        keep_alive: whether the connection goes on after the answer.
        room: what its body takes, or None for a short one.
        view: the whole body where it is a long one that was not copied, or None.
    """

    __slots__ = ("body", "client", "headers", "keep_alive", "method", "room", "target", "view")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        headers: dict[bytes, bytes],
        body: bytes,
        client: Client,
        keep_alive: bool,
        room: Room | None = None,
        view: memoryview | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.client = client
        self.keep_alive = keep_alive
        self.room = room
        self.view = view

    def release(self) -> None:
        """Give back the room that its body took."""
        if self.room is not None:
            self.room.release()
