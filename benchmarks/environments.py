"""Virtual environments: one for each contender, all with the same releases of everything else."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
import sys
import tempfile
import typing as t
import venv

from .measure import clean_environment

ROOT = pathlib.Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "bench"
PREDECESSOR = "flask-postgres==0.2.5"
DSLR = "DSLR[psycopg2-binary]==0.6.0"
DRIVERS = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary"}
"""The packages of the drivers. The predecessor names none: its environment has the one that is measured."""


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
    :param dslr: DSLR, which takes snapshots.
    :param testing: this checkout with pytest and pytest-postgresql.
    """

    ours: Environment
    theirs: Environment
    bare: Environment
    libraries: Environment
    server: Environment
    dslr: Environment
    testing: Environment


def make(*, driver: str) -> Environments:
    """Make the environments, or bring them up to date with the checkout."""
    ours = _install("ours", [str(ROOT)])
    same = ours.releases()
    for name in ("flask-postgres", "pip", "setuptools"):
        same.pop(name, None)
    pins = [f"{name}=={release}" for name, release in same.items()]
    server = _install("server", [f"{ROOT}[embedded]"], pins)
    testing = _install("testing", [str(ROOT), "pytest", "pytest-postgresql"], pins)
    _renew(ours, server, testing)
    return Environments(
        ours=ours,
        theirs=_install(f"theirs-{driver}", [PREDECESSOR, DRIVERS[driver]], pins),
        bare=_install("bare", ["flask"], pins),
        libraries=_install("libraries", pins, pins),
        server=server,
        dslr=_install("dslr", [DSLR], pins),
        testing=testing,
    )


def _install(name: str, packages: t.Sequence[str], pins: t.Sequence[str] = ()) -> Environment:
    """Make an environment, unless it is there with the same packages."""
    environment = Environment(CACHE / name)
    wanted = "\n".join([*packages, *pins])
    stamp = environment.folder / "stamp.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making .cache/bench/{name}", file=sys.stderr, flush=True)
        venv.create(environment.folder, with_pip=True, clear=True)
        constraints = environment.folder / "constraints.txt"
        constraints.write_text("\n".join(pins))
        _pip(environment, "install", "--constraint", str(constraints), *packages)
        stamp.write_text(wanted)
    return environment


def _renew(*environments: Environment) -> None:
    """Replace the package by the checkout as it is now."""
    with tempfile.TemporaryDirectory() as folder:
        _pip(environments[0], "wheel", "--no-deps", "--wheel-dir", folder, str(ROOT))
        wheels = [str(path) for path in pathlib.Path(folder).glob("*.whl")]
        for environment in environments:
            _pip(environment, "install", "--no-deps", "--force-reinstall", *wheels)


def _pip(environment: Environment, *arguments: str) -> None:
    _run(environment.python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout
