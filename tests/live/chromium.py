"""A headless Chromium that is told what to do over a pipe (the DevTools protocol)."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LONGEST_S = 60.0


class Browser:
    """One page of one browser. `console` has what the page logged or threw."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._number = 0
        self._unread = b""
        self._session = ""
        self.console: list[str] = []
        self.asked: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, url: str, width: int = 1280, height: int = 900, *, dark: bool = False) -> None:
        """Open a page on a screen of this size; below 700 points it is a telephone's."""
        phone = width < 700
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, mobile=phone,
                   deviceScaleFactor=2 if phone else 1)  # fmt: skip
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[theme])
        self._call("Page.navigate", url="about:blank")  # what the page before it asks for is over
        self.console.clear()
        self.asked.clear()
        self._call("Page.navigate", url=url)

    def value(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str, within_s: float = 20.0) -> None:
        """Wait until an expression is true; the page may still be loading."""
        ends = time.monotonic() + within_s
        while True:
            if self.value(f"(() => {{ try {{ return !!({script}) }} catch {{ return false }} }})()"):
                return
            assert time.monotonic() < ends, (script, self.value("document.body.innerText")[:2000])
            self._read(0.1)

    def picture(self, file: Path, *, whole: bool = True) -> None:
        """A picture of the page, in full length or of the screen."""
        found = self._call("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(found["data"]))

    def _call(self, method: str, **params: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        ends = time.monotonic() + LONGEST_S
        while time.monotonic() < ends:
            for answer in self._read(1.0):
                if answer.get("id") == self._number:
                    assert "error" not in answer, answer
                    return answer["result"]
        raise AssertionError(f"no answer to {method}")

    def _read(self, within_s: float) -> list[dict[str, Any]]:
        found = []
        if select.select([self._back], [], [], within_s)[0]:
            *whole, self._unread = (self._unread + os.read(self._back, 2**20)).split(b"\0")
            found = [json.loads(each) for each in whole]
        for event in found:
            self._note(event.get("method", ""), event.get("params", {}))
        return found

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.console.append(json.dumps(params)[:500])
        if method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])


_AT_3_AND_4 = """
import fcntl, os, sys
there, here = (fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3])
os.dup2(there, 3)
os.dup2(here, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Starts Chromium, which reads from descriptor 3 and writes to 4."""


@contextmanager
def browser(scratch: Path) -> Iterator[Browser]:
    """A browser with a profile of its own, in which no name resolves. It ends with the block."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "chromium is not installed: apt-get install chromium"
    there, to = os.pipe()
    back, here = os.pipe()
    options = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
        f"--user-data-dir={scratch / 'profile'}",
    )
    command = [sys.executable, "-c", _AT_3_AND_4, str(there), str(here), chromium, *options, "about:blank"]
    process = subprocess.Popen(
        command, pass_fds=(there, here), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(there)
    os.close(here)
    try:
        yield Browser(to, back)
    finally:
        process.terminate()
        process.wait(20)
        os.close(to)
        os.close(back)
