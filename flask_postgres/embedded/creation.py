"""How a data folder is made: by initdb, in a place of its own, and moved to its name when it is whole."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
import stat
import tempfile
import time
import typing as t
from pathlib import Path

from ..errors import EmbeddedServerError
from . import config, files, location
from .account import IS_WINDOWS, Account
from .cluster import Cluster, failed

LEFTOVER_TIMEOUT = 5.0
"""How long to go on removing a leftover, in seconds; what stays is harmless."""

_BEFORE = "before"
_OUR_ARGUMENTS = ("--auth=scram-sha-256", "--encoding=UTF8", f"--username={config.SUPERUSER}")


def initialize(cluster: Cluster) -> None:
    """Make a new data folder: whole and marked as ours, or not at all.

    :raises EmbeddedServerError: if it cannot be made.
    """
    folder = cluster.folder
    with _staging(folder, cluster.account) as stage:
        aside = _set_aside(folder, stage)
        fresh = stage / "data" if aside else folder
        password = secrets.token_urlsafe(32)
        if not aside:
            cluster.account.give(folder)
        _initdb(cluster, fresh, stage / "password", password)
        _make_ours(fresh, password)
        if aside:
            os.rename(fresh, folder)
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        raise EmbeddedServerError(f"The data folder {folder} was replaced while it was made.")


def _make_ours(fresh: Path, password: str) -> None:
    """Write into a new data folder what makes it one of ours; the mark last."""
    owner = files.owner_of(fresh)
    files.write(fresh / location.SUPERUSER_PASSWORD, password, owner=owner)
    rules = config.access_rules((), superuser_over_tcp=IS_WINDOWS)
    files.write(fresh / "pg_hba.conf", rules, owner=owner)
    settings = fresh / "postgresql.conf"
    files.write(settings, files.read_own(settings) + config.INCLUDE, owner=owner)
    account = 0 if IS_WINDOWS else os.geteuid()
    mark = {"made_by": "flask-postgres", "cluster_name": f"flask-postgres-{account}-{secrets.token_hex(8)}"}
    files.write_json(fresh / location.MARK, mark, owner=owner)


@contextlib.contextmanager
def _staging(folder: Path, account: Account) -> t.Iterator[Path]:
    """Give a private folder to prepare things in, beside the data folder where that can be."""
    remove_leftovers(folder)
    try:
        stage = new_stage(folder)
    except OSError as error:
        if not folder.is_dir():
            raise location.unusable(folder, error) from None
        stage = Path(tempfile.mkdtemp(prefix="flask-postgres-"))
    try:
        account.give(stage)
        if not account.can_enter(stage):
            raise EmbeddedServerError(
                f"{folder.parent} cannot be reached by the account {account.name}, "
                "which must run PostgreSQL for root.",
                remedy="Set server_data_dir to a folder whose parents are open to it.",
            )
        yield stage
    except OSError as error:
        raise location.unusable(folder, error) from None
    finally:
        if (stage / _BEFORE).exists() and not folder.exists():
            os.rename(stage / _BEFORE, folder)
        shutil.rmtree(stage, ignore_errors=True)


def _set_aside(folder: Path, stage: Path) -> bool:
    """Tell whether a new folder can be moved to the name; an empty one that has it makes room.

    It cannot where that one is a mount point, or its parent is closed to us: then initdb works in it.
    """
    if not folder.exists():
        return True
    try:
        os.rename(folder, stage / _BEFORE)
    except OSError:
        return False
    return True


def new_stage(folder: Path) -> Path:
    """Make a private folder beside a data folder, which a later command removes if we are killed."""
    return Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent))


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed command left; we hold the lock, so nobody is at work on it."""
    for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.new-*"):
        if leftover.is_dir() and not leftover.is_symlink():
            _remove(leftover)


def _remove(leftover: Path) -> None:
    """Remove a folder into which the initdb of a killed command may still write, until that fails."""
    deadline = time.monotonic() + LEFTOVER_TIMEOUT
    while leftover.exists() and time.monotonic() < deadline:
        shutil.rmtree(leftover, ignore_errors=True)
        time.sleep(0.02)


def _initdb(cluster: Cluster, fresh: Path, password_file: Path, password: str) -> None:
    owner = cluster.account.ids
    for locale in _locales(cluster.binaries.major):
        files.write(password_file, password, owner=owner)
        try:
            answer = cluster.account.run(
                cluster.binaries.program("initdb"),
                f"--pgdata={fresh}",
                f"--pwfile={password_file}",
                *_OUR_ARGUMENTS,
                *locale,
                cwd=password_file.parent,
            )
        finally:
            password_file.unlink(missing_ok=True)
        if answer.returncode == 0:
            return
        if "invalid locale" not in answer.output:
            break
    raise failed("The data folder could not be initialized", cluster, answer.output)


def _locales(major: int) -> tuple[tuple[str, ...], ...]:
    """Return initdb's arguments for UTF-8, in the order in which to try them."""
    if major >= 17:
        return (("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),)
    return ("--locale=C", "--lc-ctype=C.UTF-8"), ("--locale=C", "--lc-ctype=en_US.UTF-8"), ("--locale=C",)
