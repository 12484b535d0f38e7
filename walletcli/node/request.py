"""What was asked and by whom, as the routes see it."""

from __future__ import annotations

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

    def behind(self, forwarded_for: bytes) -> Client:
        """Return the client that a proxy speaks for: the last address of its X-Forwarded-For, which it wrote itself.

        Where that is no address, the proxy stands for all its clients.
        """
        try:
            bucket = bucket_of(forwarded_for.rpartition(b",")[2].strip().decode("ascii"))
        except ValueError:
            return self
        return Client(bucket, False)


class Request:
    """One request.

    Attributes:
        method: such as ``b"GET"``.
        target: the path and query as received.
        headers: the fields that the node looks at, names in lower case; a repeated field is joined by commas.
        body: the whole body.
        client: who asks.
        keep_alive: whether the connection goes on after the answer.
    """

    __slots__ = ("body", "client", "headers", "keep_alive", "method", "target")

    def __init__(
        self, method: bytes, target: bytes, headers: dict[bytes, bytes], body: bytes, client: Client, keep_alive: bool
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.client = client
        self.keep_alive = keep_alive
