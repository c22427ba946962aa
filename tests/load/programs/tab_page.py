"""Locust's page with the tab of a run folder, as if a load ran. Prints its port; ends with its input."""

from __future__ import annotations

import sys
from pathlib import Path

import gevent
from gevent import socket as green_socket
from locust import User
from locust.env import Environment

from calorimeter.load.run import live_tab, web_page


class Idle(User):
    """A user who does nothing."""


run = Path(sys.argv[1])
environment = Environment(user_classes=[Idle], host="http://127.0.0.1:1")
runner = environment.create_local_runner()
with green_socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
web_ui = environment.create_web_ui("127.0.0.1", port, delayed_start=True)
web_page.guard(web_ui, "127.0.0.1", port)
live_tab.attach(web_ui, None)
live_tab.show(web_ui, run)
runner.state = "running"
web_ui.start()
print(port, flush=True)
gevent.get_hub().threadpool.apply(sys.stdin.read)
