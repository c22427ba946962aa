"""A scale-out study as a page: the surface, the law, the prediction, the first saturated component."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from calorimeter.core.verdict import Outcome
from calorimeter.report.figures import style
from calorimeter.report.figures.style import Layout
from calorimeter.studies import study_page, usl
from calorimeter.studies.scale_result import MACHINE, Kind, ScaleResult
from calorimeter.studies.usl import Bounded, Law

STRANGERS = 0.3
"""Share of a machine used by none of the components that is more than the generator of a load needs."""

FULL = 0.7
"""Share of its cores from which a component is called nearly full."""

KINDS: tuple[Kind, ...] = ("engines", "rest")
"""The kinds of component that laws are fitted to."""

NAMES: dict[Kind, str] = {"engines": "engines", "rest": "REST APIs", "cfn": "CFN APIs"}


def lines(result: ScaleResult) -> Iterator[str]:
    """The result for a terminal."""
    yield study_page.text(_sizes(result))
    yield from sentences(result)


def sentences(result: ScaleResult) -> Iterator[str]:
    """The result in sentences."""
    for kind in KINDS:
        law = result.law(kind)
        if law is not None:
            yield _law(kind, law, result)
        elif result.different(kind) > 1:
            yield _points(kind, result)
    yield from _spoilt(result)
    yield from _predicted(result)
    yield from _first(result)
    if result.strangers > STRANGERS:
        yield (
            f"NOT A QUIET MACHINE: up to {result.strangers:.0%} of its processor was used by none of the "
            "components, which is more than the load generator needs; the figures are too low as a result."
        )


def _spoilt(result: ScaleResult) -> Iterator[str]:
    """How many of the loads gate T3 failed or could not judge."""
    late, unknown = result.judged(Outcome.FAIL), result.judged(Outcome.INCONCLUSIVE)
    most = f"of {len(result.conclusive)} {'sizes' if result.repeat == 1 else 'loads'}"
    if late:
        yield f"{late} {most}: the generator was late (T3), so their figures may be too low."
    if unknown:
        yield f"{unknown} {most}: nothing shows whether the generator was late (T3)."


def _points(kind: Kind, result: ScaleResult) -> str:
    """Throughput at each size, if the sizes are too few for a law."""
    points = ", ".join(f"{size.throughput:.2f} with {size.of(kind)}" for size in result.along(kind))
    return (
        f"By {NAMES[kind]}: {points} ({result.measure}); no law: {result.different(kind)} sizes, "
        f"{usl.FEWEST_FOR_LAW} are needed."
    )


def _law(kind: Kind, law: Law, result: ScaleResult) -> str:
    alone = "one engine" if kind == "engines" else "one API"
    sentence = (
        f"By {NAMES[kind]}: {alone} does {_bounded(law.gamma)} "
        f"{result.measure}; contention α {_bounded(law.alpha)}, coherency β {_bounded(law.beta)}"
    )
    if law.covariance is None:
        sentence += f" (without intervals: {law.sizes} sizes, {usl.FEWEST_SIZES} are needed)"
    if law.peak is not None and law.peak < 10_000:
        sentence += f"; the law has its peak at {law.peak:.0f}"
    return f"{sentence}."


def _bounded(value: Bounded) -> str:
    interval = "" if value.low is None else f" ({value.low:.3g} to {value.high:.3g})"
    return f"{value.value if value.value > 1e-9 else 0:.3g}{interval}"


def _predicted(result: ScaleResult) -> Iterator[str]:
    for each in result.predictions:
        inside = {True: "inside the interval", False: "OUTSIDE the interval", None: "no interval"}[
            each.inside
        ]
        error = f"{each.error:+.1%}".replace("-", "−")
        yield (
            f"Predicted for {each.engines} engines, which the law was not fitted to: "
            f"{_bounded(each.predicted)} {result.measure}; "
            f"measured {each.measured:.3g} ({error}, {inside})."
        )


def _first(result: ScaleResult) -> Iterator[str]:
    found = result.saturation
    if not found:
        yield "No use of the processor was recorded: the component that saturates first is not known."
        return
    first = found[0]
    name = "the whole machine" if first.kind == MACHINE else first.kind
    unit = result.measure.removesuffix("s/s")
    yield (
        f"By processor time {name} saturates first: {first.cpu_s_per_unit * 1000:.0f} ms per {unit}, "
        f"{first.share:.0%} of its cores at {result.largest.throughput:.3g} {result.measure}; full at "
        f"{first.saturates_at:.3g}."
    )
    if first.share < FULL:
        yield "No processor was nearly full at the largest size: waiting, not computing, limits throughput."


def _sizes(result: ScaleResult) -> study_page.Table:
    headings = ("REST", "CFN", "engines", "users", result.measure, "done", "failed", "efficiency", "")
    law = result.law("engines")
    rows = []
    for size in result.sizes:
        alone = law.gamma.value if law is not None else None
        check = "predicted, then measured" if law else "left out to check a law"
        spoilt = "" if size.generator.outcome is Outcome.PASS else f"T3: {size.generator.why}"
        tries = f"the better of {size.tries} loads" if size.tries > 1 else ""
        rows.append(
            (
                *(str(n) for n in (size.rest, size.cfn, size.engines, size.users)),
                f"{size.throughput:.2f}",
                str(size.done),
                f"{size.failed} of {size.requests}",
                f"{size.throughput / (size.engines * alone):.0%}" if alone else "–",
                "; ".join(filter(None, (check if size.check else "", spoilt, tries))),
            )
        )
    return study_page.Table("sizes", "Every size that was measured", headings, tuple(rows))


def _components(result: ScaleResult) -> study_page.Table:
    per_unit = f"processor per {result.measure.removesuffix('s/s')}"
    headings = ("component", "parts", per_unit, "of its cores", f"full at ({result.measure})")
    rows = []
    for each in result.saturation:
        used, full = f"{each.cpu_s_per_unit * 1000:.1f} ms", f"{each.saturates_at:.3g}"
        rows.append((each.kind, str(each.processes), used, f"{each.share:.0%}", full))
    title = "Use of the components at the largest throughput"
    return study_page.Table("components", title, headings, tuple(rows), notes=False)


def files(result: ScaleResult) -> study_page.Files:
    """All files of the page by their path in its folder."""
    lead = (
        *sentences(result),
        f"Scenario {result.scenario} on {result.deployment}, {result.users_per_engine} users for each "
        f"engine, {len(result.sizes)} loads of {result.duration_s:g} s; {result.took_s:.0f} s in all.",
    )
    figures = [
        study_page.StudyFigure(f"scale-{kind}", _caption(result, kind), partial(_curve, result, kind))
        for kind in KINDS
        if kind == "engines" or result.law(kind) is not None
    ]
    if len({size.rest for size in result.fitted}) > 1:
        figures.append(
            study_page.StudyFigure(
                "scale-surface",
                f"Throughput ({result.measure}) at each number of REST APIs and engines.",
                partial(_surface, result),
            )
        )
    notes = (
        "The law: X(N) = γ·N / (1 + α·(N − 1) + β·N·(N − 1)) (Gunther 2007), by least squares with α and β "
        f"at least 0. It needs {usl.FEWEST_FOR_LAW} different sizes. Intervals (95 %) need "
        f"{usl.FEWEST_SIZES}; they are those of least squares, and for a prediction they hold one more "
        "measurement.",
        "A load that gate T3 does not pass (the generator was late or busy) is fitted like the others. If "
        "it was repeated, the better of the two loads by that gate is used, and the table says so.",
        "Each engine had the same number of users, so that every size is equally busy.",
        "Processor time per unit is the time that a component's processes used in the measured part, "
        "divided by the stacks or requests completed in it. A process of Heat uses one core at most, so a "
        "component is full when each of its processes uses one (the utilisation law). The row of the "
        f"machine ({result.cpus} cores) includes the load generator and everything else that runs on it.",
    )
    tables = (_sizes(result), _components(result))
    return study_page.files(
        f"Scale-out: {result.scenario}", lead, figures, tables, notes, result, "scale.json"
    )


def _caption(result: ScaleResult, kind: Kind) -> str:
    law = result.law(kind)
    if law is None:
        among = any(size.check for size in result.along(kind, result.sizes))
        left_out = ", with the size left out to check a law" if among else ""
        return f"Throughput against {NAMES[kind]}, as measured{left_out}."
    caption = (
        f"Throughput against {NAMES[kind]}, and below it the efficiency, the share that is left of perfect "
        "scaling. The curve is the Universal Scalability Law"
    )
    if law.covariance is not None:
        caption += ", the band is the 95 % interval of one more measurement"
    if any(size.check for size in result.along(kind, result.sizes)):
        caption += "; hollow: predicted, then measured"
    return f"{caption}."


def _curve(result: ScaleResult, kind: Kind, layout: Layout) -> Figure:
    law = result.law(kind)
    figure, panels = style.canvas(layout, (2.7,) if law is None else (2.7, 1.4))
    loads = result.along(kind, result.sizes)
    if law is not None:
        _lines(panels[0], panels[1], law, max(size.of(kind) for size in loads))
        style.legend(panels[0], 2, layout)
    for size in loads:
        face = "white" if size.check and law is not None else style.ORANGE
        values = (
            size.throughput,
            size.throughput / (max(1, size.of(kind)) * law.gamma.value) if law else 0.0,
        )
        for panel, value in zip(panels, values, strict=False):
            panel.scatter(size.of(kind), value, s=34, facecolor=face, edgecolor=style.ORANGE,
                          linewidth=1.4, zorder=3)  # fmt: skip
    panels[0].set_ylabel(result.measure.replace("/", " / "))
    panels[0].set_ylim(bottom=0)
    if law is None:
        panels[0].set_ylim(top=1.1 * max(size.throughput for size in loads) or 1.0)
    panels[-1].set_xlabel(NAMES[kind])
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


DIGITS = 9
"""Decimals of what is drawn."""


def _lines(above: Axes, below: Axes, law: Law, most: int) -> None:
    """A law, its band and perfect scaling; below, the efficiency by the law."""
    fine = np.linspace(1, most * 1.15, 80)
    at = [law.at(float(n)) for n in fine]
    # Processors differ in the last digits: without rounding a line may be drawn a pixel apart.
    above.plot(fine, np.round([each.value for each in at], DIGITS), color=style.BLUE, label="law")
    if law.covariance is not None:
        lowest, highest = [max(0.0, each.low or 0.0) for each in at], [each.high or 0.0 for each in at]
        bounds = np.round([lowest, highest], DIGITS)
        above.fill_between(fine, *bounds, color=style.BLUE, alpha=0.15, linewidth=0)
    perfect = np.round(fine * law.gamma.value, DIGITS)
    above.plot(fine, perfect, color=style.MUTED, linestyle=":", linewidth=1, label="perfect")
    efficiency = [each.value / (n * law.gamma.value) for n, each in zip(fine, at, strict=True)]
    below.plot(fine, np.round(efficiency, DIGITS), color=style.BLUE)
    below.set_ylim(0, 1.25)
    below.yaxis.set_major_formatter(PercentFormatter(1.0))
    below.set_ylabel("efficiency")


def _surface(result: ScaleResult, layout: Layout) -> Figure:
    rests = sorted({size.rest for size in result.fitted})
    engines = sorted({size.engines for size in result.fitted})
    figure, (panel,) = style.canvas(layout, (0.9 + 0.5 * len(rests),))
    measured: dict[tuple[int, int], list[float]] = {}
    for size in result.fitted:
        measured.setdefault((size.rest, size.engines), []).append(size.throughput)
    values = np.full((len(rests), len(engines)), np.nan)
    for (rest, count), own in measured.items():
        values[rests.index(rest), engines.index(count)] = float(np.median(own))
    panel.imshow(values, cmap=style.INTENSITY, aspect="auto", vmin=0)
    panel.grid(visible=False)
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = value > 0.55 * np.nanmax(values)
            panel.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8,
                       color="white" if dark else style.INK)  # fmt: skip
    panel.set_xticks(range(len(engines)), [str(n) for n in engines])
    panel.set_yticks(range(len(rests)), [str(n) for n in rests])
    panel.set_xlabel("engines")
    panel.set_ylabel("REST APIs")
    return figure
