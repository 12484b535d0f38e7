"""Relays that are far away: ``python bench/far_away.py PORT MS`` passes bytes on to a port, and its answers on late.

Prints the ports that it listens on, three of them, so that they count as three relays.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

RELAYS = 3
"""How many ports it listens on."""


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late_s: float) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            due_s = loop.time() + late_s
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            writer.write(data)
    with contextlib.suppress(OSError):
        writer.close()


async def main(port: int, late_s: float) -> None:
    """Serve until the process is ended."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(reader, there_writer, 0.0), _copy(there_reader, writer, late_s))

    servers = [await asyncio.start_server(serve, "127.0.0.1", 0) for _ in range(RELAYS)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) / 1000))
