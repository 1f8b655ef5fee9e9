"""Measure, and print the tables: ``python3 -m benchmarks`` in the folder of the repository."""

from __future__ import annotations

import argparse
import pathlib
import platform
import shutil
import signal
import sys
import tempfile
import time
import typing as t

from . import apps, environments, report
from .bench import Bench, Command
from .rows import ROWS
from .server import Server
from .trace import trace

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
QUICK, USUAL = 6, 40
NAMED = ("flask", "click", "sqlalchemy", "flask-sqlalchemy", "psycopg", "psycopg2-binary", "python-dotenv")


def main() -> int:
    """Run what the command line asks for; the exit code tells whether every target was met."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is stopped
    made = environments.make(driver=options.driver)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="flask-postgres-bench-apps-"))
    try:
        with Server(made) as server:
            bench = Bench(
                environments=made,
                server=server,
                folder=folder,
                empty_app=apps.empty_app(folder),
                app_of_tables=apps.app_of_tables(folder),
                driver=options.driver,
                runs=options.runs or (QUICK if options.quick else USUAL),
            )
            if options.trace:
                print(trace(bench, options.trace))
                return 0
            sections = [_measure(bench, name) for name in options.rows or ROWS]
            text = report.document(sections, versions=_versions(bench), runs=bench.runs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(text, end="")
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")
    return 0 if all(line.met is not False for section in sections for line in section.lines) else 1


def _measure(bench: Bench, name: str) -> report.Section:
    began = time.monotonic()
    section = ROWS[name](bench)
    took = f"({name}: {time.monotonic() - began:.0f} s)"
    print(report.chapter(section), took, sep="\n\n", end="\n\n", file=sys.stderr, flush=True)
    return section


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks", description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=ROWS, metavar="ROW", help=f"of: {', '.join(ROWS)}")
    parser.add_argument("--runs", type=int, help=f"of a start-up row; others take fewer (default: {USUAL})")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} runs, to see that everything works")
    parser.add_argument(
        "--driver", choices=environments.DRIVERS, default="psycopg", help="of every contender"
    )
    parser.add_argument(
        "--trace",
        choices=t.get_args(Command),
        help="show the flights of a command of ours, and measure nothing",
    )
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name} as well")
    return parser.parse_args()


def _versions(bench: Bench) -> dict[str, str]:
    releases = bench.environments.ours.releases()
    return {
        "Python": platform.python_version(),
        "PostgreSQL": bench.server.execute("SHOW server_version")[0][0],
        **{name: releases[name] for name in NAMED if name in releases},
        "driver measured": bench.driver,
    }


if __name__ == "__main__":
    sys.exit(main())
