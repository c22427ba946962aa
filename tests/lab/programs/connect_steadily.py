"""Connect to ADDRESS PORT every 20 ms for SECONDS, ask for `/`, and print `began_ns status took_s` of each.

The status is 0 for a connection that was refused, reset or not answered within 3 s.
"""

from __future__ import annotations

import asyncio
import sys
import time

EVERY_S = 0.02
WITHIN_S = 3.0


async def connect(address: str, port: int) -> None:
    """One connection, with one request."""
    began_ns, began = time.time_ns(), time.monotonic()
    status = 0
    try:
        async with asyncio.timeout(WITHIN_S):
            reader, writer = await asyncio.open_connection(address, port)
            writer.write(f"GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.readline()
            writer.close()
            status = int(answer.split()[1]) if answer else 0
    except (OSError, TimeoutError):
        pass
    print(began_ns, status, f"{time.monotonic() - began:.3f}", flush=True)


async def main(address: str, port: int, seconds: float) -> None:
    """Connections at fixed times, however long the earlier ones take."""
    due = time.monotonic()
    end = due + seconds
    async with asyncio.TaskGroup() as tasks:
        while due < end:
            tasks.create_task(connect(address, port))
            due += EVERY_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
