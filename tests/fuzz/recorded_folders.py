"""Cases of recorded folders: runs and studies, damaged once to three times."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.case import Case

_OF_RUNS: tuple[tuple[str, ...], ...] = (
    *((("balance", "run"), ("trace", "run", "req-1"), ("compare", "run", "run")) * 3),
    *(("compare", "run", "--baseline", "run"), ("watch", "run"), ("clean", "run", "--within", "1s")),
    *(("export", "run", "--format", form) for form in ("har", "hdr", "jsonl", "junit", "sarif")),
    *(("export", "run", "--format", form) for form in ("otlp", "otlp-metrics")),
    ("history", "."),
    ("report", "run"),  # takes seconds
)
_OF_STUDIES: tuple[tuple[str, ...], ...] = (("report", "run"), ("report", "run", "--output", "out"))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A command that reads a damaged folder."""
    kind = draw(st.sampled_from(("run", "run", "run", "run", "run", "run", "scale", "capacity")))
    words = draw(st.sampled_from(_OF_RUNS if kind == "run" else _OF_STUDIES))
    damages = draw(st.lists(st.integers(0, 2**32), min_size=1, max_size=3))
    return Case("run_folders", words, run=kind, damages=tuple(damages))
