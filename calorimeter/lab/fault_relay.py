"""A relay in front of an API that delays or replaces its answers.

`python -m calorimeter.lab.fault_relay PORT_FILE FROM HOST PORT --delay-s 3 | --status 503 [--tls FOLDER]`

nftables redirects connections to it. It delays each answer by `--delay-s`, or answers `--status` itself. It
writes its listening port to PORT_FILE. With `--tls` it speaks TLS on both sides, with the certificates that
`tls_files` wrote into FOLDER: a relay of bytes would delay the handshakes, too, and could answer nothing.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from calorimeter.core import files
from calorimeter.lab import tls_files

CHUNK = 65536


@dataclass(slots=True)
class _Exchange:
    """A client's connection and the one to the API behind it."""

    delay_s: float
    asked: bool = False

    async def request(self) -> None:
        """The client sends data."""
        self.asked = True

    async def answer(self) -> None:
        """The API sends data: delay the first chunk after a request by `delay_s`."""
        if self.asked:
            self.asked = False
            await asyncio.sleep(self.delay_s)


async def _pipe(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: Callable[[], Awaitable[None]]
) -> None:
    """Forward each chunk after awaiting `before`."""
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            await before()
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()  # TLS cannot end one direction alone


async def serve(given: argparse.Namespace) -> None:
    """Serve until the process ends."""
    behind = tls_files.client_context(given.tls) if given.tls else None
    ahead = tls_files.server_context(given.tls) if given.tls else None

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            if given.status:
                await reader.readuntil(b"\r\n\r\n")
                head = f"HTTP/1.1 {given.status} Fault\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
                await writer.drain()
            else:
                back, out = await asyncio.open_connection(
                    given.host, given.to_port, local_addr=(given.source, 0), ssl=behind
                )
                exchange = _Exchange(given.delay_s)
                await asyncio.gather(
                    _pipe(reader, out, exchange.request), _pipe(back, writer, exchange.answer)
                )
                out.close()
        writer.close()

    server = await asyncio.start_server(connected, given.host, 0, backlog=512, ssl=ahead)
    files.write(given.port_file, str(server.sockets[0].getsockname()[1]))
    async with server:
        await server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="calorimeter.lab.fault_relay")
    parser.add_argument("port_file", type=Path)
    parser.add_argument("source")
    parser.add_argument("host")
    parser.add_argument("to_port", type=int)
    parser.add_argument("--delay-s", type=float, default=0.0)
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("--tls", type=Path)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
