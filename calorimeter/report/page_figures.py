"""The sections of a page, and what a figure of it is: listed, drawn, or left out with the reason."""

from __future__ import annotations

from dataclasses import dataclass

from calorimeter.report.figures.style import Plot

SECTIONS = (
    UPGRADE := "Upgrade, step by step",
    OVER_TIME := "Throughput and latency over time",
    AGAINST_LOAD := "Throughput and latency against load",
    DISTRIBUTION := "Latency distribution",
    BUDGET := "Where the time goes",
    SERVED := "Who served what",
    FAULTS := "Faults, detection and recovery",
    COMPONENTS := "Queues and components",
    GENERATOR := "Generator health",
    GATES := "Duration of the gates",
)
"""The headings that figures stand under, in their order."""


@dataclass(frozen=True, slots=True)
class PageFigure:
    """One figure of a page; `section` is the heading it stands under."""

    name: str
    section: str
    title: str
    caption: str
    plot: Plot


@dataclass(frozen=True, slots=True)
class OmittedFigure:
    """A figure that a run's data do not allow; `why` is a clause after "because"."""

    name: str
    section: str
    title: str
    why: str


@dataclass(frozen=True, slots=True)
class DrawnFigure:
    """A figure as bytes: SVG for a page and for a telephone, PNG for other uses."""

    figure: PageFigure
    wide: str
    narrow: str
    png: bytes
