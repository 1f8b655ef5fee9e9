"""The results as Markdown."""

from __future__ import annotations

import dataclasses
import enum
import os
import pathlib
import platform
import typing as t

from .measure import Summary

TIMES = " \N{MULTIPLICATION SIGN}"


class Unit(enum.Enum):
    """What a section measures; the value heads its columns."""

    SECONDS = "seconds"
    MEBIBYTES = "MiB"
    COUNT = "count"


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """What has to be met.

    :param kind: the ratio to the peer, the difference from it, or the value itself.
    """

    kind: t.Literal["ratio", "difference", "value"]
    at_most: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that was measured, for each contender.

    :param ours: the contender that the target is for, and ``peer`` the one it is compared with.
    :param least: the contender that shows what cannot be beaten.
    """

    what: str
    values: t.Mapping[str, Summary]
    ours: str
    peer: str
    least: str | None = None
    target: Target | None = None

    def measured(self, contender: str) -> float:
        """Return what the target is about: a value, or how it compares with that of the peer."""
        kind = "ratio" if self.target is None else self.target.kind
        value, peer = self.values[contender], self.values[self.peer]
        if kind == "ratio":
            return value.paired_ratio(peer)
        return value.median - peer.median if kind == "difference" else value.median

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.measured(self.ours) <= self.target.at_most


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Lines with the same contenders."""

    title: str
    about: str
    unit: Unit
    lines: t.Sequence[Line]


def document(sections: t.Sequence[Section], *, versions: t.Mapping[str, str], runs: int) -> str:
    """Return everything as one document."""
    parts = [
        "# Results",
        f"Measured by `python3 -m benchmarks --runs {runs}` on {_machine()}.",
        ", ".join(f"{name} {release}" for name, release in versions.items()) + ".",
        "## Targets",
        _table(
            ["what", "measured", "at most", "met", "least possible"],
            [_verdict(line) for line in _targets(sections)],
        ),
    ]
    for section in sections:
        parts.append(chapter(section))
    return "\n\n".join(parts) + "\n"


def chapter(section: Section) -> str:
    """Return one section."""
    return f"## {section.title}\n\n{section.about}\n\n{_details(section)}"


def _targets(sections: t.Sequence[Section]) -> list[Line]:
    return [line for section in sections for line in section.lines if line.target is not None]


def _verdict(line: Line) -> list[str]:
    assert line.target is not None
    kind = line.target.kind
    against = "" if kind == "value" else f", {line.ours} against {line.peer}"
    least = "" if line.least is None else f"{_shown(line.measured(line.least), line.target)} ({line.least})"
    sign = TIMES if kind == "ratio" else ""
    return [
        f"{line.what}{against}",
        _shown(line.measured(line.ours), line.target),
        f"{line.target.at_most:g}{sign}",
        "yes" if line.met else "**no**",
        least,
    ]


def _shown(value: float, target: Target) -> str:
    if target.kind != "ratio":
        return f"{value:.0f}"
    return f"{value:.{2 if target.at_most < 1 else 3}f}{TIMES}"


def _details(section: Section) -> str:
    names = list(dict.fromkeys(name for line in section.lines for name in line.values))
    rows = []
    for line in section.lines:
        cells = [_cell(line.values.get(name), section.unit) for name in names]
        rows.append([line.what, *cells, _ratio(line)])
    return _table([section.unit.value, *names, "ours to peer"], rows)


def _cell(summary: Summary | None, unit: Unit) -> str:
    if summary is None:
        return ""
    if unit is Unit.COUNT:
        return f"{summary.median:.0f}"
    places = 3 if unit is Unit.SECONDS else 1
    return f"{summary.median:.{places}f} (min {summary.minimum:.{places}f}, ±{summary.spread / 2:.0%})"


def _ratio(line: Line) -> str:
    """Return the median of the ratios, round by round, and, in brackets, the ratio of the minima."""
    ours, peer = line.values.get(line.ours), line.values.get(line.peer)
    if ours is None or peer is None:
        return ""
    return f"{ours.paired_ratio(peer):.3f}{TIMES} ({ours.minimum / peer.minimum:.3f})"


def _table(head: t.Sequence[str], rows: t.Iterable[t.Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _machine() -> str:
    cores = os.cpu_count()
    return (
        f"{_processor()}, {cores} core{'s' if cores != 1 else ''}, {platform.system()} {platform.machine()}"
    )


def _processor() -> str:
    try:
        known = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        known = ""
    for line in known.splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "an unknown processor"
