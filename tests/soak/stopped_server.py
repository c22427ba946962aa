"""What an RPC server of oslo.messaging does with calls that come after `stop()` and before `wait()` ends.

Runs in Heat's environment (`bin/soak clean-stop` starts it there), with nothing of Heat's: two servers on
one topic, as two engines have one queue. Prints one line of JSON. The broker's URL comes from $TRANSPORT.

A round: a call that takes a while is in flight at each server; one of them is told to stop, and ends when
its call has (`wait()` is for that); meanwhile short calls come. A call without an answer was acknowledged
and dropped: had it not been acknowledged, the broker would have handed it to the other server.
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
    """What can be called: `nap` takes a while, `echo` does not."""

    def nap(self, _: Any) -> str:
        """Take a while."""
        time.sleep(BUSY_S)
        return "rested"

    def echo(self, _: Any) -> str:
        """Answer at once."""
        return "echo"


def transport(queue_manager: bool) -> Any:
    """An RPC transport whose queues are named by chance, as by default, or by the queue manager."""
    cfg.CONF.set_override("use_queue_manager", queue_manager, "oslo_messaging_rabbit")
    return oslo_messaging.get_rpc_transport(cfg.CONF, os.environ["TRANSPORT"])


def server(at: Any, name: str) -> Any:
    """A server that is started."""
    target = oslo_messaging.Target(topic="calorimeter-proof", server=name)
    started = oslo_messaging.get_rpc_server(at, target, [Endpoint()], executor="threading")
    started.start()
    return started


def round_(queue_manager: bool) -> tuple[int, int]:
    """One clean stop: (short calls that were sent after it, those of them that got no answer)."""
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
        time.sleep(BUSY_S / 4)  # both are in flight now, one at each server
        stopping = threading.Thread(target=lambda: (leaving.stop(), leaving.wait()))
        stopping.start()
        time.sleep(BUSY_S / 4)  # stop() has returned, wait() waits for the nap
        short = [pool.submit(call, "echo") for _ in range(SHORT_CALLS)]
        answered = [each.result() for each in short]
        assert all(each.result() for each in naps), "a call that was in flight at the stop got no answer"
    stopping.join()
    staying.stop()
    staying.wait()
    for each in transports:
        each.cleanup()
    return len(answered), answered.count(False)


def main() -> None:
    """Count, with names of queues as they are by default, and with the queue manager."""
    rounds = int(sys.argv[1])
    cfg.CONF([])
    lockutils.set_defaults(lock_path=tempfile.mkdtemp(prefix="calorimeter-"))  # of the queue manager
    oslo_messaging.get_rpc_transport(cfg.CONF, os.environ["TRANSPORT"]).cleanup()  # registers the options
    for queue_manager in (False, True):
        counts = [round_(queue_manager) for _ in range(rounds)]
        told = {
            "use_queue_manager": queue_manager,
            "stops": rounds,
            "calls": sum(sent for sent, _ in counts),
            "dropped": sum(lost for _, lost in counts),
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
