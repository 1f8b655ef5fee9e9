"""What is measured. Each function makes one section of the report."""

from __future__ import annotations

import dataclasses
import typing as t

from .bench import DSLR, FLOOR, OURS, THEIRS, Bench, Command, database_of
from .measure import Contender, Sample, Summary, paired, pinned
from .proxy import Proxy
from .report import Line, Section, Target, Unit
from .server import HOST
from .suites import WAYS

BARE, BARE_AGAIN, LIBRARIES, LOADING = "bare Flask", "bare again", "bare + our libraries", "loading the app"
COMMANDS: tuple[Command, ...] = ("create", "setup", "reset", "init")
GROWTH = (1, 10, 100, 300, 1000)
MANY = 300
ONE_WAY = 0.010
"""Seconds: half of the 20 ms that a round trip to a database in the next region takes."""

BIG = """
    ALTER TABLE pet_0 SET (autovacuum_enabled = off);
    INSERT INTO pet_0 (name) SELECT repeat('x', 1000) FROM generate_series(1, 114000)
"""
"""Makes a database of some 138 MB. DSLR fails while autovacuum works on it."""


def start_up(bench: Bench) -> Section:
    """Measure what the plugin costs every ``flask`` command, and its own help."""
    made = bench.environments
    contenders = [
        bench.flask(BARE, made.bare, "routes"),
        bench.flask(BARE_AGAIN, made.bare, "routes"),
        bench.flask(LIBRARIES, made.libraries, "routes"),
        bench.flask(OURS, made.ours, "routes"),
        bench.flask(THEIRS, made.theirs, "routes"),
        bench.flask(f"{OURS} --help", made.ours, "psql", "--help"),
        bench.flask(f"{THEIRS} --help", made.theirs, "psql", "--help"),
    ]
    with pinned():
        samples = paired(contenders, runs=bench.runs)
    lines = [*_start_up_lines(_seconds(samples), targets=True), *_start_up_lines(_cpu(samples), cpu=True)]
    return Section(
        title="Start-up",
        about="Of an app without a database, on one core. Bare Flask always runs `flask routes`; it is "
        "measured twice, to show the noise. Our libraries without ours show what of the cost is theirs.",
        unit=Unit.SECONDS,
        lines=lines,
    )


def _start_up_lines(values: dict[str, Summary], *, targets: bool = False, cpu: bool = False) -> list[Line]:
    helps = {OURS: values.pop(f"{OURS} --help"), THEIRS: values.pop(f"{THEIRS} --help")}
    noise = {BARE: values[BARE], BARE_AGAIN: values[BARE_AGAIN]}
    note = ", CPU" if cpu else ""
    routes, help_ = (Target("ratio", 1.03), Target("ratio", 1.15)) if targets else (None, None)
    return [
        Line(
            what=f"`flask routes`{note}", values=values, ours=OURS, peer=BARE, least=LIBRARIES, target=routes
        ),
        Line(what=f"`flask psql --help`{note}", values=noise | helps, ours=OURS, peer=BARE, target=help_),
    ]


def flights(bench: Bench) -> Section:
    """Count the round trips of each command, and how they grow with the number of tables."""
    lines = []
    with Proxy(HOST, bench.server.port) as proxy:
        for tables in GROWTH:
            counted = _counted(proxy, bench.psql("setup", tables=tables, port=proxy.port))
            target = Target("value", 40) if tables == MANY else None
            lines.append(_line(f"`setup`, {_tables(tables)}", counted.flights, target=target))
        one, many = lines[0].values[OURS], lines[GROWTH.index(MANY)].values[OURS]
        growth = {f"{OURS}, {MANY} tables": many, f"{OURS}, 1 table": one}
        for command in COMMANDS:
            counted = _counted(proxy, bench.psql(command, port=proxy.port))
            lines.append(_line(f"`{command}`", counted.flights))
            lines.append(_line(f"`{command}`, connections", counted.connections))
    first, second = growth
    within = Line(what="`setup`", values=growth, ours=first, peer=second, target=Target("difference", 8))
    return Section(
        title="Flights",
        about="Bursts from the client that the server answers; each costs a round trip.",
        unit=Unit.COUNT,
        lines=[*lines, within],
    )


def far_away(bench: Bench) -> Section:
    """Measure ``setup`` on a server that is 20 ms away."""
    lines = []
    with Proxy(HOST, bench.server.port, delay=ONE_WAY) as proxy:
        for tables in (1, MANY):
            contenders = bench.psql("setup", tables=tables, port=proxy.port)
            seconds = _seconds(paired(contenders, runs=bench.slow_runs))
            target = Target("ratio", 0.15) if tables == MANY else None
            lines.append(_line(f"`setup`, {_tables(tables)}, 20 ms", seconds, target=target))
    return Section(
        title="A server that is 20 ms away",
        about="Through a proxy that holds everything for 10 ms in each direction.",
        unit=Unit.SECONDS,
        lines=lines,
    )


def local(bench: Bench) -> Section:
    """Measure the commands on the server of the same machine."""
    lines = []
    loading = bench.loading(LOADING, bench.environments.libraries)
    for command in COMMANDS:
        contenders = [*bench.psql(command), loading]
        samples = paired(contenders, runs=bench.command_runs)
        target = Target("ratio", 0.8) if command != "init" else None
        lines.append(_line(f"`{command}`, 1 table", _seconds(samples), target=target))
        lines.append(_line(f"`{command}`, 1 table, CPU", _cpu(samples)))
    return Section(
        title="A local server",
        about="An app with one table. `init` finds it there already. Loading the app is `flask routes` in "
        "that app, without a plugin: every command has to do that, and the floor does not even do that.",
        unit=Unit.SECONDS,
        lines=lines,
    )


def growth(bench: Bench) -> Section:
    """Measure how the time grows with the number of tables, and with the size of the database."""
    lines = []
    for tables in GROWTH:
        seconds = _seconds(paired(bench.psql("setup", tables=tables), runs=bench.slow_runs))
        lines.append(_line(f"`setup`, {_tables(tables)}", seconds))
    seconds = _seconds(paired(bench.psql("init", tables=MANY), runs=bench.slow_runs))
    lines.append(_line(f"`init`, {MANY} tables that are there", seconds))
    filled = [_filled(bench, contender) for contender in bench.psql("reset")]
    seconds = _seconds(paired(filled, runs=bench.slow_runs))
    lines.append(_line("`reset` of 138 MB", seconds))
    return Section(title="Growth", about="On the local server.", unit=Unit.SECONDS, lines=lines)


def memory(bench: Bench) -> Section:
    """Measure the peak of the memory that ``create`` needs."""
    contenders = [*bench.psql("create"), bench.loading(LOADING, bench.environments.libraries)]
    samples = paired(contenders, runs=bench.slow_runs)
    values = {
        name: Summary(tuple(sample.peak / 2**20 for sample in taken)) for name, taken in samples.items()
    }
    return Section(
        title="Memory",
        about="The peak of what is resident.",
        unit=Unit.MEBIBYTES,
        lines=[_line("peak of `create`", values, target=Target("ratio", 0.9))],
    )


def snapshots(bench: Bench) -> Section:
    """Measure saving a database of 138 MB and restoring it, against DSLR."""
    lines = []
    for what, contenders in (("save", bench.save(BIG)), ("restore", bench.restore(BIG))):
        seconds = _seconds(paired(contenders, runs=bench.slow_runs))
        target = Target("ratio", 0.6)
        lines.append(
            Line(what=f"snapshot {what}, 138 MB", values=seconds, ours=OURS, peer=DSLR, target=target)
        )
    return Section(
        title="Snapshots",
        about="`flask psql snapshot` against DSLR 0.6. Ours loads the app, and after restoring it keeps what "
        "was there for `undo`; DSLR drops that first.",
        unit=Unit.SECONDS,
        lines=lines,
    )


def suites(bench: Bench) -> Section:
    """Measure a test suite with each way to give a test its database."""
    lines = []
    for tables, tests in ((1, 20), (20, 60)):
        contenders = [bench.suite(way, tables=tables, tests=tests) for way in WAYS]
        seconds = _seconds(paired(contenders, runs=bench.slow_runs))
        for peer in list(WAYS)[1:]:
            lines.append(
                Line(
                    what=f"{tests} tests, {_tables(tables)}, against {peer}",
                    values={name: seconds[name] for name in (OURS, peer)},
                    ours=OURS,
                    peer=peer,
                    target=Target("ratio", 1.0),
                )
            )
    return Section(
        title="Databases for tests",
        about="A whole run of pytest: each test finds an empty table, inserts a row and commits.",
        unit=Unit.SECONDS,
        lines=lines,
    )


ROWS: dict[str, t.Callable[[Bench], Section]] = {
    "start-up": start_up,
    "flights": flights,
    "far-away": far_away,
    "local": local,
    "growth": growth,
    "memory": memory,
    "snapshots": snapshots,
    "suites": suites,
}
"""Every section, by the name that ``--rows`` takes."""


class _Counted(t.NamedTuple):
    flights: dict[str, Summary]
    connections: dict[str, Summary]


def _counted(proxy: Proxy, contenders: t.Sequence[Contender]) -> _Counted:
    counted = _Counted({}, {})
    for contender in contenders:
        contender.prepare()
        proxy.forget()
        dataclasses.replace(contender, prepare=lambda: None).run()
        counted.flights[contender.name] = Summary((proxy.flights,))
        counted.connections[contender.name] = Summary((proxy.connections,))
    return counted


def _seconds(samples: t.Mapping[str, t.Sequence[Sample]]) -> dict[str, Summary]:
    return {name: Summary(tuple(sample.seconds for sample in taken)) for name, taken in samples.items()}


def _cpu(samples: t.Mapping[str, t.Sequence[Sample]]) -> dict[str, Summary]:
    return {name: Summary(tuple(sample.cpu for sample in taken)) for name, taken in samples.items()}


def _line(what: str, values: t.Mapping[str, Summary], *, target: Target | None = None) -> Line:
    shown = {name: values[name] for name in (OURS, THEIRS, FLOOR, LOADING) if name in values}
    least = LOADING if LOADING in values else FLOOR
    return Line(what=what, values=shown, ours=OURS, peer=THEIRS, least=least, target=target)


def _tables(count: int) -> str:
    return f"{count} table{'s' if count != 1 else ''}"


def _filled(bench: Bench, contender: Contender) -> Contender:
    """Let a command find a database that is large."""

    def prepare() -> None:
        contender.prepare()
        bench.server.execute(BIG, dbname=database_of(contender.name))

    return dataclasses.replace(contender, prepare=prepare)
