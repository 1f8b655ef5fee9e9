"""Copies of the programs, for an account that cannot reach them where they are.

Root's interpreter often lives in a folder that is closed to everybody else. What is reachable is found by
running it, not by reading modes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from ..errors import EmbeddedServerError
from . import binaries, location, locking
from .account import CURRENT, Account
from .binaries import Binaries

_PARTS = ("bin", "lib", "lib64", "share")


def choose(
    bin_dir: Path | None, *, major: int | None, accounts: tuple[Account, ...]
) -> tuple[Binaries, Account]:
    """Return binaries and an account that can run them, copied for it where it must be.

    :raises EmbeddedServerError: if there are no binaries, or no account to run them.
    """
    if not accounts:
        raise EmbeddedServerError(
            "PostgreSQL refuses to run as root, and there is no account called postgres or nobody.",
            remedy="Make one, or run the command as an ordinary user.",
        )
    found = binaries.find(bin_dir, major=major)  # as ourselves: what is missing is missing for all
    for account in accounts:
        if account is CURRENT or binaries.read_version(found.path, account=account):
            return found, account
    copied = _copy(found)
    for account in accounts:
        if binaries.read_version(copied.path, account=account):
            return copied, account
    raise EmbeddedServerError(
        f"Neither {found.path} nor its copy {copied.path} can be run by {accounts[0].name}, "
        "and PostgreSQL refuses to run as root.",
        remedy="Run the command as an ordinary user.",
    )


def _copy(found: Binaries) -> Binaries:
    root = found.path.parent
    place = location.ROOT_HOME / "binaries" / f"{found.version}-{_fingerprint(found)}"
    package = root.parent.name
    path = place / package / root.name / found.path.name
    try:
        open_parents(place)
        with locking.hold(place):
            if not path.exists():
                _copy_tree(root, place)
    except OSError as error:
        raise EmbeddedServerError(
            f"The programs in {found.path} cannot be copied to {place}: {error.strerror or error}.",
            remedy="Run the command as an ordinary user, or set server_bin_dir.",
        ) from None
    return Binaries(path, found.version, found.major)


def _copy_tree(root: Path, place: Path) -> None:
    """Copy the programs with the libraries beside their package, whole or not at all."""
    stage = Path(tempfile.mkdtemp(prefix=f".{place.name}.new-", dir=place.parent))
    try:
        package = root.parent
        for part in _PARTS:
            if (root / part).is_dir():
                shutil.copytree(root / part, stage / package.name / root.name / part, symlinks=True)
        beside = package.with_name(f"{package.name}.libs")
        if beside.is_dir():
            shutil.copytree(beside, stage / beside.name, symlinks=True)
        _open_to_all(stage)
        os.rename(stage, place)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def open_parents(folder: Path) -> None:
    """Make the parents of a folder, whatever the umask: nobody else may write there.

    Those that root makes can be passed by every account, the others by none.
    """
    mode = 0o755 if location.is_root() else 0o700
    for parent in reversed([parent for parent in folder.parents if not parent.exists()]):
        with contextlib.suppress(FileExistsError):
            parent.mkdir(mode)
            parent.chmod(mode)


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _fingerprint(found: Binaries) -> str:
    """Tell one build from the next of the same version; that of the next environment is the same."""
    return hashlib.sha256(found.program("postgres").read_bytes()).hexdigest()[:12]
