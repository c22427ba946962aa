"""A stats socket that answers `show stat`, `show info` and `show sess` as HAProxy does, for tests."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROWS = """# pxname,svname,status,weight,scur,stot,type,check_status,check_duration
rest,rest-1,UP,1,0,7,2,L7OK,3
rest,rest-2,UP,1,0,5,2,L7OK,3
rest,BACKEND,UP,2,0,12,1,,
"""


class StatsServer(socketserver.ThreadingUnixStreamServer):
    """Listens at a Unix socket; `rows` is its answer to `show stat`, `polled` counts such answers."""

    daemon_threads = True

    def __init__(self, path: Path, rows: str = ROWS) -> None:
        super().__init__(str(path), _Answer)
        self.url = f"unix://{path}"
        self.rows = rows
        self.polled = 0


class _Answer(socketserver.StreamRequestHandler):
    server: StatsServer

    def handle(self) -> None:
        """Answer one command and close the connection."""
        command = self.rfile.readline().decode().strip()
        self.server.polled += command == "show stat"
        answers = {"show stat": self.server.rows, "show info": "Maxconn: 4096\n", "show sess": ""}
        self.wfile.write(answers.get(command, "Unknown command\n").encode())


@contextmanager
def stats_server(path: Path, rows: str = ROWS) -> Iterator[StatsServer]:
    """Serve a stats socket at `path`; its file is removed at the end, so that nothing answers there."""
    with StatsServer(path, rows) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            path.unlink()
