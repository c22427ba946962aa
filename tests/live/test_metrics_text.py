"""The text format of Prometheus."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.live import metrics_text
from calorimeter.live.live_figures import LiveFigures, QueueNow
from calorimeter.live.metrics_text import FRESH_S, text_of
from tests.live.shown_run import figures

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SAMPLE = re.compile(r'(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)\n')
LABEL = re.compile(r'(\w+)="((?:[^"\\\n]|\\["\\n])*)"')

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> tuple[Samples, dict[str, str]]:
    """The samples and the types of a text, as the format's specification has them; strict."""
    found: Samples = {}
    kinds: dict[str, str] = {}
    helped: set[str] = set()
    for line in text.splitlines(keepends=True):
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in helped
            helped.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.rstrip("\n").split(" ")
            assert name in helped and name not in kinds and kind in ("gauge", "counter")
            kinds[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value = match.groups()
            assert NAME.fullmatch(name) and name == list(kinds)[-1]  # the lines of a metric are together
            values = tuple((key, unescaped(text)) for key, text in LABEL.findall(labels or ""))
            assert (name, values) not in found
            found[name, values] = float(value)
    return found, kinds


def unescaped(text: str) -> str:
    """A label's value without its escapes."""
    return re.sub(r"\\(.)", lambda sign: "\n" if sign[1] == "n" else sign[1], text)


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveFigures:
    """The figures of a run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return figures(tmp_path / "run")


def test_every_figure_has_its_line(shown: LiveFigures) -> None:
    """The same numbers as on the page, with a type and a help."""
    samples, kinds = parsed(text_of(shown, 0.25))
    rest = (("section", "rest_api_proxy"), ("backend", "rest-1"))
    assert samples["calorimeter_backend_share", rest] == 0.6667
    assert samples["calorimeter_backend_predicted_share", rest] == 0.5
    assert samples["calorimeter_backend_connections_total", rest] == 250
    assert samples["calorimeter_backend_state", (*rest, ("state", "up"))] == 1
    assert samples["calorimeter_backend_state", (*rest, ("state", "down"))] == 0
    engine = (("topic", "engine_worker"), ("engine", "heat-engine[4711]@127.0.0.1"))
    assert samples["calorimeter_engine_share", engine] == 0.3333
    assert samples["calorimeter_engine_window_deliveries", engine] == 1800
    assert samples["calorimeter_queue_unacknowledged", (("queue", "engine"),)] == 2
    assert samples["calorimeter_stacks_in_progress", ()] == 5
    assert samples["calorimeter_generator_users", (("worker", "worker-00"),)] == 12
    assert samples["calorimeter_generator_lag_p99_seconds", (("worker", "worker-00"),)] == 0.004
    assert samples["calorimeter_faults_open", ()] == 1
    odd = (("part", 'engine "1"\\'), ("fault", "freeze\n<b>x</b>"))
    assert samples["calorimeter_fault_open", odd] == 1
    assert samples["calorimeter_gate_outcome", (("gate", "H1"), ("outcome", "FAIL"))] == 1
    assert samples["calorimeter_gate_outcome", (("gate", "H1"), ("outcome", "PASS"))] == 0
    assert samples["calorimeter_live", ()] == 1
    assert samples["calorimeter_figures_age_seconds", ()] == 0.25
    assert kinds["calorimeter_backend_connections_total"] == "counter"
    assert {name for name, kind in kinds.items() if kind == "counter"} == {
        name for name in kinds if name.endswith("_total")
    }


def test_the_lines_themselves(shown: LiveFigures) -> None:
    """As they are sent: a backslash, a quote and an end of a line are escaped."""
    text = text_of(shown)
    assert '\ncalorimeter_fault_open{part="engine \\"1\\"\\\\",fault="freeze\\n<b>x</b>"} 1\n' in text
    assert (
        "\n# HELP calorimeter_window_seconds Length of the window of shares\n"
        "# TYPE calorimeter_window_seconds gauge\n"
        "calorimeter_window_seconds 60.0\n"
    ) in text


def test_what_is_not_known_has_no_line(shown: LiveFigures) -> None:
    """A share of nothing, and the stacks of no load, are no 0."""
    backends = tuple(each.model_copy(update={"share": None}) for each in shown.backends)
    samples, kinds = parsed(text_of(shown.model_copy(update={"stacks": None, "backends": backends})))
    assert not {"calorimeter_stacks_in_progress", "calorimeter_backend_share"} & {
        name for name, _ in samples
    }
    assert "calorimeter_backend_share" not in kinds


@pytest.mark.parametrize(
    ("over", "age_s", "live"), [(False, FRESH_S, 1), (False, FRESH_S + 0.1, 0), (True, 0.0, 0)]
)
def test_old_figures_are_not_live(shown: LiveFigures, over: bool, age_s: float, live: int) -> None:
    """An alert on `calorimeter_live` sees that data stopped."""
    samples, _ = parsed(text_of(shown.model_copy(update={"over": over}), age_s))
    assert samples["calorimeter_live", ()] == live


def test_without_figures_only_one_metric() -> None:
    """No load has begun."""
    assert parsed(text_of(None)) == ({("calorimeter_live", ()): 0.0}, {"calorimeter_live": "gauge"})


@given(st.lists(st.text(max_size=12), unique=True, max_size=4))
def test_any_name_is_read_back(names: list[str]) -> None:
    """Whatever a deployment calls its parts."""
    rows = [({"queue": name}, len(name)) for name in names]
    metric = metrics_text.Metric("calorimeter_queue_ready", "gauge", "a\\b\nc", list(rows))
    text = (
        "".join(metrics_text._lines(metric))
        .encode("utf-8", "surrogatepass")
        .decode("utf-8", "surrogatepass")
    )
    lines = [each + "\n" for each in text.split("\n")[:-1]]
    found = [LABEL.findall(SAMPLE.fullmatch(line)[2])[0][1] for line in lines[2:]]  # type: ignore[index]
    assert [unescaped(each) for each in found] == names


def test_two_queues_are_two_lines(shown: LiveFigures) -> None:
    """One metric, its lines together."""
    queues = tuple(QueueNow(name=name, ready=1, unacknowledged=0, consumers=0) for name in ("a", "b"))
    samples, _ = parsed(text_of(shown.model_copy(update={"queues": queues})))
    assert [labels for name, labels in samples if name == "calorimeter_queue_ready"] == [
        (("queue", "a"),), (("queue", "b"),)
    ]  # fmt: skip
