"""The bounds of every number that a user can give, at the command line and in files, in one sentence each.

`calorimeter.commands.param_types` makes options of them, `calorimeter.core.toml` makes fields of files.
This module is quick to import: a fault of a lab must not wait for more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_WHOLE = re.compile(r"[0-9]{1,19}", re.ASCII)
_SIGNED = re.compile(r"(?!-0*$)-?[0-9]{1,19}", re.ASCII)
_REAL = re.compile(r"(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_TIME = re.compile(rf"({_REAL.pattern})(ms|s|m|h)?", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Bounds:
    """The smallest and the largest valid number, both included; `why` says where the limits come from."""

    least: float
    most: float
    whole: bool = True
    unit: str = ""
    why: str = ""

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        unit, why = (f" of {self.unit}" if self.unit else ""), (f" ({self.why})" if self.why else "")
        return f"valid: {kind}{unit} from {self.range.replace('..', ' to ')}{why}"

    @property
    def range(self) -> str:
        """`1..64`, as help and documentation show it."""
        return f"{_text(self.least)}..{_text(self.most)}"

    def check(self, number: Any) -> Any:
        """The number. Raises ValueError, with the valid range, if it is not within the bounds."""
        kinds = int if self.whole else (int, float)
        if isinstance(number, bool) or not isinstance(number, kinds) or not self._holds(number):
            raise ValueError(str(self))
        return number

    def _holds(self, number: float) -> bool:
        # NaN compares with nothing; of negative zero, only the sign tells.
        return self.least <= number <= self.most and (number != 0 or math.copysign(1, number) > 0)

    def parse(self, text: str) -> Any:
        """The number that a text is, in decimal ASCII digits. Raises ValueError, with the valid range."""
        if self.whole:
            whole = _WHOLE if self.least >= 0 else _SIGNED
            number: float | None = int(text) if whole.fullmatch(text) else None
        else:
            number = float(text) if _REAL.fullmatch(text) else None
        if number is None:
            raise ValueError(str(self))
        return self.check(number)

    def parse_time(self, text: str) -> float:
        """The seconds of a text such as `90`, `500ms`, `60s`, `2m`, `1h`. Raises ValueError."""
        found = _TIME.fullmatch(text)
        if found is None:
            raise ValueError(f"{self}, as in 90, 500ms, 60s, 2m or 1h")
        return float(self.check(float(found[1]) * _UNITS[found[2] or "s"]))

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """How pydantic validates `Annotated[int, BOUNDS]`: one sentence for each kind of mistake."""
        from pydantic_core import ValidationError, core_schema

        def validate(given: Any, read: Callable[[Any], Any]) -> Any:
            try:
                return self.check(read(given))
            except ValidationError as problem:  # another type
                raise ValueError(str(self)) from problem

        return core_schema.no_info_wrap_validator_function(validate, handler(source))


def _text(number: float) -> str:
    return f"{number:.9f}".rstrip("0").rstrip(".") if isinstance(number, float) else str(number)


def is_digits(text: str) -> bool:
    """Whether a text is decimal ASCII digits only; `str.isdigit` accepts `²`, `str.isdecimal` `٣`."""
    return text.isascii() and text.isdigit()


MOST_NUMBERS = 64
"""Numbers in one option, as in `--weights 1,2,1`."""

LEAST_LOAD_S = 0.1
LONGEST_S = 2_147_483.647
_LONGEST = "24 days, HAProxy's longest time"

PORT = Bounds(1, 65535, why="ports of TCP and UDP")
COUNT = Bounds(1, 1_000_000)
COUNT_OR_NONE = Bounds(0, 1_000_000)
PROCESSES = Bounds(1, 1000)
HOST_PROCESSES = Bounds(0, 100, why="API processes have ports 10 apart")
SERVICE_PORT = Bounds(1, 64000, why="further processes of a host have the ports above it, 10 apart")
VIRTUAL_ROUTER = Bounds(1, 255, why="VRRP's virtual router id")
VRRP_PRIORITY = Bounds(1, 255, why="VRRP's priorities; 0 gives the address up")
CHECK_WEIGHT = Bounds(-253, 253, why="keepalived's weight of a vrrp_script")
PREEMPT_DELAY = Bounds(0, 1000, whole=False, unit="seconds", why="keepalived's preempt_delay")
DATABASE_CONNECTIONS = Bounds(1, 100_000, why="MySQL's max_connections")
ALLOWED_PROCESSES = Bounds(1, 100_000, why="memory and process limits of the machine allow fewer")
SIGNALS = Bounds(1, 1000)
LAB_COUNT = Bounds(1, 64)
LAB_PART_NUMBER = Bounds(1, 10_000)
LAB_BROKERS = Bounds(1, 5)
LAB_PROXIES = Bounds(1, 2)
PREFETCH = Bounds(0, 65535, why="AMQP's prefetch count has 16 bits")
HAPROXY_INTEGER = Bounds(1, 2**31 - 1, why="a number of HAProxy has 31 bits")
MAXCONN = Bounds(2, 2**31 - 1, why="each API gets half; a number of HAProxy has 31 bits")
HAPROXY_WEIGHT = Bounds(0, 256, why="HAProxy's weights")
SEED = Bounds(0, 2**63 - 1)
SECONDS = Bounds(1e-6, LONGEST_S, whole=False, unit="seconds", why=_LONGEST)
WHOLE_SECONDS = Bounds(1, int(LONGEST_S), unit="seconds", why=_LONGEST)
MOMENT = Bounds(0, LONGEST_S, whole=False, unit="seconds", why=_LONGEST)
MILLISECONDS = Bounds(1e-3, 2**31 - 1, whole=False, unit="milliseconds", why=_LONGEST)
LOAD = Bounds(LEAST_LOAD_S, LONGEST_S, whole=False, unit="seconds", why=_LONGEST)
TIME_LIMIT = Bounds(0.1, 86400, whole=False, unit="seconds", why="a day")
WAIT = Bounds(0, 86400, whole=False, unit="seconds", why="a day")
POLL = Bounds(0.01, 3600, whole=False, unit="seconds")
REPEATS = Bounds(1, 1000)
PRECISION = Bounds(0.01, 1, whole=False)
LEVEL = Bounds(0.1, 1_000_000, whole=False)
LINES = Bounds(1, 1_000_000)
TRACE_WINDOWS = Bounds(1, 1000)
TRACE_WINDOW = Bounds(0.5, 60, whole=False, unit="seconds")
INTERVAL = Bounds(1, 86_400, unit="seconds", why="a day")
SLOWEST = Bounds(1, 10_000, why="a viewer of HTTP Archives opens no more")
TIMEOUT_OF_RPC = Bounds(2, 3600, unit="seconds")
THREADS = Bounds(1, 1024)
LAB_CONNECTIONS = Bounds(1, 65535, why="connections to one port")
LAB_SERVERS = Bounds(2, 16)
SOURCES = Bounds(1, 65536)
VISITS = Bounds(1, 1000)
STACKS = Bounds(1, 10_000)
HELD = Bounds(1, 1_000_000)
NOTICE = Bounds(1, 3600, unit="seconds")
RATE = Bounds(0, 1_000_000, whole=False)
POSITIVE_RATE = Bounds(1e-6, 1_000_000, whole=False)
RATIO = Bounds(0, 1, whole=False)
GROWTH = Bounds(0.001, 1000, whole=False, why="a share of the level, per day")
SHARE = Bounds(1e-6, 1_000_000, whole=False, why="weights count relative to one another")
