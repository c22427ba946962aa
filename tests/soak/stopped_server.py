"""What an RPC server of oslo.messaging does with calls that arrive after `stop()` and before `wait()` ends.

Runs in Heat's environment (`bin/soak clean-stop` starts it there) without any code of Heat's: two servers
share a topic, as two engines share a queue. Prints one line of JSON per setting. The broker's URL is in
$TRANSPORT.

In a round a slow call is in flight at each server. One server is stopped, and `wait()` ends after its
slow call. In between short calls are sent. A short call without an answer was acknowledged and dropped:
without the acknowledgement the broker would have delivered it to the other server.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import oslo_messaging  # type: ignore[import-not-found]
from oslo_concurrency import lockutils  # type: ignore[import-not-found]
from oslo_config import cfg  # type: ignore[import-not-found]

BUSY_S = 0.5
SHORT_CALLS = 6
TIMEOUT_S = 4


class Endpoint:
    """The calls: `nap` takes `BUSY_S`, `echo` answers at once."""

    napping = threading.Semaphore(0)
    """Released as each nap begins."""

    def nap(self, _: Any) -> str:
        """Answer after `BUSY_S`."""
        self.napping.release()
        time.sleep(BUSY_S)
        return "rested"

    def echo(self, _: Any) -> str:
        """Answer at once."""
        return "echo"


def transport(queue_manager: bool) -> Any:
    """An RPC transport; its queue names are random (the default) or the queue manager's."""
    cfg.CONF.set_override("use_queue_manager", queue_manager, "oslo_messaging_rabbit")
    return oslo_messaging.get_rpc_transport(cfg.CONF, os.environ["TRANSPORT"])


def server(at: Any, name: str) -> Any:
    """A running server."""
    target = oslo_messaging.Target(topic="calorimeter-proof", server=name)
    started = oslo_messaging.get_rpc_server(at, target, [Endpoint()], executor="threading")
    started.start()
    return started


def round_(queue_manager: bool) -> tuple[int, int]:
    """One clean stop: (short calls sent after it, those of them without an answer)."""
    transports = [transport(queue_manager) for _ in range(3)]
    staying, leaving = server(transports[0], "staying"), server(transports[1], "leaving")
    client = oslo_messaging.get_rpc_client(transports[2], oslo_messaging.Target(topic="calorimeter-proof"))

    def call(method: str) -> bool:
        try:
            client.prepare(timeout=TIMEOUT_S).call({}, method)
        except oslo_messaging.MessagingTimeout:
            return False
        return True

    call("echo")
    with ThreadPoolExecutor(SHORT_CALLS + 2) as pool:
        naps = [pool.submit(call, "nap") for _ in range(2)]
        for _ in naps:  # one at each server
            assert Endpoint.napping.acquire(timeout=TIMEOUT_S), "a nap did not begin"
        stopped = threading.Event()
        stopping = threading.Thread(target=lambda: (leaving.stop(), stopped.set(), leaving.wait()))
        stopping.start()
        assert stopped.wait(TIMEOUT_S), "stop() did not return"
        short = [pool.submit(call, "echo") for _ in range(SHORT_CALLS)]
        answered = [each.result() for each in short]
        assert all(each.result() for each in naps), "a call in flight at the stop got no answer"
    stopping.join()
    staying.stop()
    staying.wait()
    for each in transports:
        each.cleanup()
    return len(answered), answered.count(False)


def main() -> None:
    """Count with the default queue names, and with the queue manager."""
    rounds = int(sys.argv[1])
    cfg.CONF([])
    lockutils.set_defaults(lock_path=tempfile.mkdtemp(prefix="calorimeter-"))  # for the queue manager
    oslo_messaging.get_rpc_transport(cfg.CONF, os.environ["TRANSPORT"]).cleanup()  # registers the options
    for queue_manager in (False, True):
        counts = [round_(queue_manager) for _ in range(rounds)]
        result = {
            "use_queue_manager": queue_manager,
            "stops": rounds,
            "calls": sum(sent for sent, _ in counts),
            "dropped": sum(lost for _, lost in counts),
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
