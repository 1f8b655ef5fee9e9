"""Where the data of the embedded server lives: one folder an address, made by us and marked as ours."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..errors import EmbeddedServerError
from . import files
from .target import Target

ROOT_HOME = Path("/var/lib/flask-postgres")
INSTALL = "pip install 'flask-postgres[embedded]'"

MARK = "flask_postgres.json"
CONFIG = "flask_postgres.conf"
LOG = "flask_postgres.log"
RUN = "flask_postgres_run.json"
ROLES = "flask_postgres_roles.json"
SUPERUSER_PASSWORD = "flask_postgres_superuser"
SOCKETS = "sockets"

LONGEST_SOCKET_DIR = 85
"""Bytes; PostgreSQL refuses a socket path that does not fit into the kernel's 103 to 107."""

_ELSEWHERE = "Set server_data_dir (FLASK_POSTGRES_SERVER_DATA_DIR) to a new folder that is yours to write."
_COMMON = {"127.0.0.1", "::1"}


class NoHome(EmbeddedServerError):
    """There is no folder of the user's to keep data in, and the settings name none."""


def data_folder(target: Target, addresses: tuple[str, ...], data_dir: Path | None) -> Path:
    """Return the data folder of an address, whether it exists or not.

    ``localhost``, ``127.0.0.1`` and ``::1`` share one folder a port: projects spell it in these ways and
    mean the same server.
    """
    if data_dir is not None:
        return Path(os.path.abspath(data_dir.expanduser()))
    return home() / "servers" / _name(target, addresses)


def home() -> Path:
    """Return the folder for everything of ours that this account keeps.

    :raises EmbeddedServerError: if the extra is not installed.
    :raises NoHome: if the account has no home folder.
    """
    if is_root():
        return ROOT_HOME
    try:
        import platformdirs
    except ImportError:
        message = "The embedded server needs packages that are not installed (platformdirs)."
        raise EmbeddedServerError(message, remedy=f"Run {INSTALL}.") from None
    try:
        path = platformdirs.user_data_path("flask-postgres", appauthor=False)
    except RuntimeError:
        path = Path()
    if path.is_absolute():
        return path
    raise NoHome("This account has no home folder for the data (HOME is not set).", remedy=_ELSEWHERE)


def is_root() -> bool:
    return os.name != "nt" and os.geteuid() == 0


def check(folder: Path) -> bool:
    """Tell whether the folder holds a server of ours; False if there is nothing in it yet.

    :raises EmbeddedServerError: if something is there that we did not make, or that is not this account's.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        raise EmbeddedServerError(f"The data folder {folder} is not a folder.", remedy=_ELSEWHERE) from None
    except PermissionError:
        raise _foreign(folder) from None
    except OSError as error:
        raise unusable(folder, error) from None
    if not names:
        return False
    if MARK not in names:
        raise EmbeddedServerError(
            f"The data folder {folder} is not empty and was not made by Flask-Postgres; it was not touched.",
            remedy=_ELSEWHERE,
        )
    return _checked_mark(folder)


def is_ours(folder: Path) -> bool:
    """Tell, without an error, whether the folder is marked as ours and readable."""
    return os.access(folder / MARK, os.R_OK)


def cluster_name(folder: Path) -> str:
    """Return the name by which the server of the folder is told from every other."""
    return str(files.read_json(folder / MARK)["cluster_name"])


def major_version(folder: Path) -> int | None:
    """Return the major version that the folder's data is of; None if there is none."""
    try:
        return int(files.read_own(folder / "PG_VERSION").split(".")[0])
    except (OSError, ValueError):
        return None


def unusable(folder: Path, error: OSError) -> EmbeddedServerError:
    """Return the error for a folder in which nothing can be written."""
    return EmbeddedServerError(
        f"The data folder {folder} cannot be made or written: {error.strerror or error}.", remedy=_ELSEWHERE
    )


def _name(target: Target, addresses: tuple[str, ...]) -> str:
    if target.is_socket:
        digest = hashlib.sha256(os.path.realpath(target.host).encode()).hexdigest()[:12]
        return f"socket-{digest}-{target.port}"
    if set(addresses) <= _COMMON:
        return f"localhost-{target.port}"
    return "+".join(sorted(addresses)).replace(":", "_") + f"-{target.port}"


def _checked_mark(folder: Path) -> bool:
    try:
        mark = files.read_json(folder / MARK)
    except PermissionError:
        raise _foreign(folder) from None
    if "cluster_name" not in mark:
        raise EmbeddedServerError(
            f"The data folder {folder} is damaged: {MARK} in it cannot be read.", remedy=_ELSEWHERE
        )
    if os.name != "nt" and not is_root() and folder.stat().st_uid != os.geteuid():
        raise _foreign(folder)
    return True


def _foreign(folder: Path) -> EmbeddedServerError:
    return EmbeddedServerError(f"The data folder {folder} belongs to another account.", remedy=_ELSEWHERE)
