"""Run processes one after the other, and keep what each took."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """What one process took.

    :param seconds: on the clock.
    :param cpu: seconds of the processor; what other processes do on the machine changes these less.
    :param peak: bytes of memory, at most.
    """

    seconds: float
    cpu: float
    peak: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One of those that are compared, in one row.

    :param prepare: brings about what the command needs to find; its time does not count.
    """

    name: str
    command: tuple[str, ...]
    cwd: pathlib.Path
    env: t.Mapping[str, str]
    prepare: t.Callable[[], object] = lambda: None

    def run(self) -> Sample:
        """Run the process to its end.

        :raises RuntimeError: if it fails; with what it printed.
        """
        self.prepare()
        with tempfile.TemporaryFile() as output:
            began = time.perf_counter()
            process = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                env={**clean_environment(), **self.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            # wait4 tells the peak of this one process; what this process itself needs must stay below it,
            # because Linux counts the moment before the program is replaced as well.
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                output.seek(0)
                said = output.read().decode(errors="replace")
                raise RuntimeError(f"{self.name}: {' '.join(self.command)}\n{said}")
        cpu = usage.ru_utime + usage.ru_stime
        return Sample(seconds, cpu, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """Many values of one quantity."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def minimum(self) -> float:
        return min(self.values)

    @property
    def spread(self) -> float:
        """How far the middle half of the values reaches, as a part of the median."""
        if len(self.values) < 4:
            return (max(self.values) - min(self.values)) / self.median
        low, _, high = statistics.quantiles(self.values, n=4)
        return (high - low) / self.median

    def paired_ratio(self, peer: Summary) -> float:
        """Return the median of the ratios, round by round: a machine that slows down slows both."""
        return statistics.median(own / other for own, other in zip(self.values, peer.values, strict=True))


def paired(contenders: t.Sequence[Contender], *, runs: int) -> dict[str, list[Sample]]:
    """Run A B C A B C …: a machine that slows down slows all of them. The first round does not count."""
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for round_ in range(runs + 1):
        for contender in contenders:
            sample = contender.run()
            if round_:
                samples[contender.name].append(sample)
    return samples


@contextlib.contextmanager
def pinned() -> t.Iterator[None]:
    """Keep this process, and those that it starts, on one core, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def clean_environment() -> dict[str, str]:
    """Return the environment without whatever would configure Flask, Python or PostgreSQL."""
    prefixes = ("FLASK", "SQLALCHEMY", "PG", "PYTHON")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
