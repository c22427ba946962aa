"""What follows from loads at several sizes: laws, predictions, what saturates first; and their pages."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from calorimeter.core.errors import InputError
from calorimeter.core.recorded.measured_part import Span
from calorimeter.core.verdict import failed, inconclusive, passed
from calorimeter.studies import capacity_page, scale_page
from calorimeter.studies.scale_result import MACHINE, ProcessorUse, Size
from calorimeter.studies.scale_study import (
    best_load,
    left_out,
    processor_used,
    refuse_several,
    shapes,
    unmeasured,
)
from tests.markdown import broken_tables
from tests.studies.results import CAPACITY, scale, size

S = 1_000_000_000


def test_the_law_of_engines_is_found_and_its_prediction_left_out() -> None:
    """From whole stacks in 20 s: the parameters nearly, the size left out within the interval."""
    found = scale()
    law = found.law("engines")
    assert law is not None
    assert law.gamma.value == pytest.approx(0.5, rel=0.1)
    (prediction,) = found.predictions
    assert prediction.engines == 5
    assert prediction.inside
    assert abs(prediction.error) < 0.05


def test_each_law_is_fitted_along_one_kind_alone() -> None:
    """Six loads along the engines, three along the APIs; the size that is checked is in neither."""
    found = scale()
    assert [s.engines for s in found.along("engines")] == [1, 2, 3, 4, 6, 8]
    assert [(s.rest, s.engines) for s in found.along("rest")] == [(1, 8), (2, 8), (3, 8)]
    assert scale(rests=(2,)).law("rest") is None


def test_few_sizes_are_said_to_be_few() -> None:
    """Three sizes give a curve without intervals, and the page says so."""
    message = " ".join(scale_page.sentences(scale(engines=(1, 2, 4))))
    assert "without intervals: 3 sizes, 6 are needed" in message
    assert "no interval" in message


def test_two_sizes_are_points_and_no_law() -> None:
    """Neither parameters, a peak nor a prediction; the page has the measurements."""
    found = scale(engines=(2, 4), rests=(1, 2))
    assert (found.law("engines"), found.law("rest"), found.predictions) == (None, None, ())
    message = " ".join(scale_page.sentences(found))
    assert "By engines: 0.95 with 2, 1.70 with 4 (stacks/s); no law: 2 sizes, 3 are needed." in message
    assert "By REST APIs: 1.70 with 1, 1.70 with 2 (stacks/s); no law: 2 sizes, 3 are needed." in message
    assert not any(word in message for word in ("α", "β", "peak", "redicted"))
    assert "predicted" not in next(iter(scale_page.lines(found)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rests", "engines", "drawn"),
    [
        ((1, 2), (2, 4), {"scale-engines", "scale-surface"}),
        ((1, 2, 3), (1, 2, 4), {"scale-engines", "scale-rest", "scale-surface"}),
    ],
)
def test_a_curve_is_drawn_along_each_law(
    rests: tuple[int, ...], engines: tuple[int, ...], drawn: set[str]
) -> None:
    """The REST APIs have one from three sizes on; the engines have their points in any case."""
    made = scale_page.files(scale(engines, rests))
    assert {Path(name).stem for name in made if name.endswith(".svg")} == drawn
    assert ("Universal Scalability Law" in made["report.md"].decode()) == (len(engines) > 2)


def test_what_has_no_law_is_not_asked_for() -> None:
    """Several numbers of CFN APIs, and a check where nothing predicts; without one nothing is left out."""
    with pytest.raises(InputError, match="--cfn: 1,2 given"):
        refuse_several((1, 2))
    refuse_several((2,))
    with pytest.raises(InputError, match="nothing predicts 3 engines"):
        left_out((2, 4), 3)
    assert (left_out((2, 4), None), left_out((1, 2, 4), None), left_out((1, 2, 4), 8)) == (None, 3, 8)


def _late(late: int, done: int = 10) -> Size:
    """A load whose generator was late so many times; not at all: it passes."""
    judged = failed("late", [], late=late, windows_busy=0) if late else passed("at ease")
    return size(1, 1, done / 20).model_copy(update={"generator": judged})


def test_a_load_with_a_late_generator_is_made_once_more() -> None:
    """The better by T3 stays, not the one that got more done; no third load; a good one is not repeated."""
    for loads, kept, tries in (
        ([_late(0)], 0, 1),
        ([_late(9, done=30), _late(0)], 1, 2),
        ([_late(9), _late(5)], 1, 2),
        ([_late(5), _late(9, done=30)], 0, 2),
        ([_late(5), size(1, 1, 1).model_copy(update={"generator": inconclusive("unknown")})], 0, 2),
    ):
        left = iter(loads)
        assert best_load(lambda left=left: next(left)) == loads[kept].model_copy(update={"tries": tries})  # type: ignore[misc]
        assert next(left, None) is None


def test_late_generators_are_counted_in_the_lead() -> None:
    """Of the sizes that were fitted, not of the one that was checked; of all, where there is no law."""
    found = scale(rests=(1,))
    assert "(T3)" not in " ".join(scale_page.sentences(found))
    spoilt = [each.model_copy(update={"generator": _late(9).generator}) for each in found.sizes[-3:]]
    found = found.model_copy(update={"sizes": (*found.sizes[:-3], *spoilt)})
    message = "2 of 6 sizes: the generator was late (T3), so their figures may be too low."
    assert message in scale_page.sentences(found)
    few = scale(engines=(2, 4), rests=(1, 2))
    few = few.model_copy(update={"sizes": (*spoilt, *few.sizes[-1:])})
    assert "3 of 4 sizes: the generator was late" in " ".join(scale_page.sentences(few))


def test_what_saturates_first_is_told_from_the_processor() -> None:
    """The machine's two cores, 0.2 s a stack, are full at ten stacks a second; nothing is nearly full."""
    found = scale().saturation
    assert found[0].kind == "(this machine)"
    assert found[0].saturates_at == pytest.approx(10, rel=1e-6)
    engine = next(each for each in found if each.kind == "engine")
    assert engine.cpu_s_per_unit == pytest.approx(0.04)
    assert engine.saturates_at == pytest.approx(8 / 0.04)
    assert "waiting, not computing" in " ".join(scale_page.sentences(scale()))


def test_a_machine_that_was_not_quiet_is_told() -> None:
    """Where more than a generator's share went to none of the components, the page says so first of all."""
    quiet = scale()
    assert quiet.strangers == pytest.approx(0.2 * 55 * 0.65 / 40, abs=0.02)
    assert "NOT A QUIET MACHINE" not in " ".join(scale_page.sentences(quiet))
    busy = quiet.sizes[0].model_copy(
        update={"used": (ProcessorUse(kind=MACHINE, processes=1, cpu_s=30.0),)}
    )
    found = quiet.model_copy(update={"sizes": (busy, *quiet.sizes[1:])})
    assert "NOT A QUIET MACHINE: up to 75%" in " ".join(scale_page.sentences(found))


def test_sizes_are_every_combination_and_one_left_out() -> None:
    """The first gap is predicted, else one beyond the most."""
    assert shapes((1, 2), (1,), (1, 4)) == [(1, 1, 1), (1, 1, 4), (2, 1, 1), (2, 1, 4)]
    assert (unmeasured((1, 2, 4)), unmeasured((1, 2, 3)), unmeasured((2,))) == (3, 4, 3)


def test_processor_is_added_up_by_kind_within_the_measured_part() -> None:
    """Two engines are one kind; polls outside do not count."""
    rows = [
        (n * S, part, cpu_s)
        for n in range(20)
        for part, cpu_s in (("engine-1", n * 0.5), ("engine-2", n * 0.25), ("mariadb", 7.0))
    ]
    polls = pd.DataFrame(rows, columns=["t_ns", "part", "cpu_s"])
    found = {used.kind: (used.processes, used.cpu_s) for used in processor_used(polls, Span(4 * S, 14 * S))}
    assert found == {"engine": (2, 7.5), "mariadb": (1, 0.0)}
    assert list(processor_used(polls.iloc[:0], Span(0, S))) == []
    assert list(processor_used(polls, None)) == []


@pytest.mark.slow
def test_pages_are_the_same_bytes_each_time_and_ask_for_nothing_outside() -> None:
    """HTML, Markdown, figures, tables and the result itself."""
    for files, result in ((scale_page.files, scale()), (capacity_page.files, CAPACITY)):
        made = files(result)  # type: ignore[operator]
        assert made == files(result)  # type: ignore[operator]
        html = made["index.html"].decode()
        assert "http://" not in html.replace("http://www.w3.org", "")
        assert "https://" not in html
        assert json.loads(made["summary.json"])["schema_version"] == 1
        assert broken_tables(made["report.md"].decode()) == []
    assert "80" in capacity_page.sentence(CAPACITY)


def test_a_failed_generator_is_told_beside_its_size() -> None:
    """A load whose generator was the bottleneck is marked in the table."""
    bad = size(1, 1, 0.5).model_copy(update={"generator": CAPACITY.levels[7].objectives})
    found = scale().model_copy(update={"sizes": (bad, *scale().sizes[1:])})
    assert "p95 too slow" in next(iter(scale_page.lines(found)))
