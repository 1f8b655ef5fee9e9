"""Virtual environments: one for each contender, all with the same releases of everything else."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
import sys
import typing as t
import venv

from .measure import clean_environment

ROOT = pathlib.Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "bench"
PREDECESSOR = "flask-postgres==0.2.5"
DRIVERS = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary"}
"""The packages of the drivers. The predecessor names none, so its environment has the one that is measured."""


@dataclasses.dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment."""

    folder: pathlib.Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def flask(self, *arguments: str) -> tuple[str, ...]:
        """Return the command line of ``flask``, as a user of this environment runs it."""
        return (str(self.folder / "bin" / "flask"), *arguments)

    def releases(self) -> dict[str, str]:
        """Return what is installed, by name in lower case."""
        listed = _run(self.python, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check")
        pairs = (line.split("==") for line in listed.splitlines() if "==" in line)
        return {name.lower(): release for name, release in pairs}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Environments:
    """The contenders.

    :param ours: this checkout.
    :param theirs: the predecessor with one driver.
    :param bare: Flask alone.
    :param libraries: what ours has, without ours: what its dependencies alone do to Flask.
    :param server: this checkout with the programs of PostgreSQL.
    """

    ours: Environment
    theirs: Environment
    bare: Environment
    libraries: Environment
    server: Environment


def make(*, driver: str) -> Environments:
    """Make the environments, or bring them up to date with the checkout."""
    ours = _install("ours", [str(ROOT)])
    _pip(ours, "--no-deps", "--force-reinstall", str(ROOT))
    kept = {
        name: release
        for name, release in ours.releases().items()
        if name not in ("flask-postgres", "pip", "setuptools")
    }
    pins = [f"{name}=={release}" for name, release in kept.items()]
    constraints = CACHE / "constraints.txt"
    constraints.write_text("\n".join(pins))
    same = ("--constraint", str(constraints))
    server = _install("server", [f"{ROOT}[embedded]"], *same)
    _pip(server, "--no-deps", "--force-reinstall", str(ROOT))
    return Environments(
        ours=ours,
        theirs=_install(f"theirs-{driver}", [PREDECESSOR, DRIVERS[driver]], *same),
        bare=_install("bare", ["flask"], *same),
        libraries=_install("libraries", pins),
        server=server,
    )


def _install(name: str, packages: t.Sequence[str], *options: str) -> Environment:
    environment = Environment(CACHE / name)
    if not environment.folder.exists():
        print(f"making .cache/bench/{name}", file=sys.stderr, flush=True)
        venv.create(environment.folder, with_pip=True)
    _pip(environment, *options, *packages)
    return environment


def _pip(environment: Environment, *arguments: str) -> None:
    _run(environment.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout
