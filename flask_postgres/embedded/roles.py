"""The role of a URI: made, followed when its password changes, and never a superuser.

A role without a password is trusted on loopback, and a trusted superuser is a shell for every account of
the machine; so the one superuser is ours, behind a private password and a private socket.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from pathlib import Path

from ..errors import EmbeddedServerError
from . import config, connection, files, location
from .account import IS_WINDOWS
from .connection import CannotLogIn, Session
from .process import Postmaster
from .target import Target

MAINTENANCE = "postgres"
"""The database that every server has from its start; a URI that names it means it for its app."""

_ROUNDS = 4096  # as many as PostgreSQL's own verifiers have, which lie in the same folder
_RELOAD_SECONDS = 5.0


def is_prepared(folder: Path, target: Target) -> bool:
    """Tell, without asking the server, whether this role and password were prepared before."""
    known = files.read_json(folder / location.ROLES).get(target.user)
    if not isinstance(known, dict):
        return False
    if target.dbname == MAINTENANCE and not known.get("maintenance"):
        return False
    salt, digest = known.get("salt"), known.get("digest")
    return digest == (None if target.password is None else _digest(target.password, str(salt)))


def prepare(folder: Path, running: Postmaster, target: Target, *, follow: bool = False) -> bool:
    """Make sure that the URI's role exists, may create databases, and comes in with the URI's password.

    :param follow: change the role's password even if somebody uses it with another.
    :returns: whether a password that the role had was changed.
    :raises EmbeddedServerError: if the role cannot be had, or others use it with another password.
    """
    _check_name(target)
    with connection.as_superuser(folder, running) as session:
        try:
            changed = _make_or_follow(session, target, follow=follow)
            _trust_those_without_password(session, folder)
            if target.dbname == MAINTENANCE and _is_nobodys(session, MAINTENANCE):
                session.run("ALTER DATABASE {} OWNER TO {}", MAINTENANCE, target.user)
        except session.error as error:
            reason = str(error).strip().splitlines()[0].rstrip(".")  # what follows may quote the statement
            raise EmbeddedServerError(
                f'The role "{target.user}" cannot be prepared on the embedded server: {reason}.',
                remedy="Name another user in the URI.",
            ) from None
    _remember(folder, target)
    return changed


def check_answers(target: Target, addresses: tuple[str, ...], cluster_name: str) -> None:
    """Make sure that the URI's role gets in on every address, and that ours is the server that answers.

    :raises EmbeddedServerError: if another server answers, or none does.
    """
    for address in addresses:
        name = _cluster_name_at(target, address)
        if name != cluster_name:
            raise EmbeddedServerError(
                f"Another server than the embedded one answers on {address}, port {target.port}.",
                remedy='Stop it, name another port in the URI, or set server = "external".',
            )


def _check_name(target: Target) -> None:
    if target.user == config.SUPERUSER:
        raise EmbeddedServerError(
            f'The role "{target.user}" is the embedded server\'s own superuser.',
            remedy="Name another user in the URI.",
        )
    if target.password is None and not config.can_be_trusted(target.user):
        raise EmbeddedServerError(
            f"The role {target.user!r} cannot be served without a password.",
            remedy="Put a password into the URI, or name another user.",
        )


def _make_or_follow(session: Session, target: Target, *, follow: bool) -> bool:
    found = session.rows("SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = %s", target.user)
    verifier = None if target.password is None else session.verifier(target.user, target.password)
    if not found:
        session.run("CREATE ROLE {} LOGIN CREATEDB PASSWORD {password}", target.user, password=verifier)
        return False
    session.run("ALTER ROLE {} LOGIN CREATEDB", target.user)
    if found[0][0] and target.password is None:
        return False
    if not found[0][0] and _gets_in(target):
        return False
    uses = _uses(session, target)
    if uses and not follow:
        raise _conflict(target, uses)
    session.run("ALTER ROLE {} PASSWORD {password}", target.user, password=verifier)
    return True


def _is_nobodys(session: Session, dbname: str) -> bool:
    """Tell whether a database belongs to the tool's own superuser still."""
    query = "SELECT r.rolsuper FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE d.datname = %s"
    return session.rows(query, dbname) == [(True,)]


def _gets_in(target: Target) -> bool:
    """Tell whether the role gets in as the URI says; libpq may know a password from its own file."""
    try:
        with connection.log_in(**_parameters(target, target.host)):
            return True
    except CannotLogIn:
        return False


def _uses(session: Session, target: Target) -> list[str]:
    """Return the databases that somebody uses the role for: its others, and those that it is connected to."""
    query = (
        "SELECT d.datname FROM pg_database d JOIN pg_roles r ON r.rolname = %s "
        "WHERE (r.oid = d.datdba AND d.datname <> %s) "
        "OR EXISTS (SELECT FROM pg_stat_activity a WHERE a.usesysid = r.oid AND a.datid = d.oid) ORDER BY 1"
    )
    return [str(row[0]) for row in session.rows(query, target.user, target.dbname)]


def _conflict(target: Target, uses: list[str]) -> EmbeddedServerError:
    shown = ", ".join(f'"{name}"' for name in uses[:3]) + (", …" if len(uses) > 3 else "")
    wanted = "has no password in this URI" if target.password is None else "has another one in this URI"
    return EmbeddedServerError(
        f'The role "{target.user}" of the embedded server at {target} is used for {shown} there, with a '
        f"password of its own (or none), and {wanted}.",
        remedy="Use that password or another user in this URI, "
        "or run flask psql server start --set-password to change it for all of them.",
    )


def _trust_those_without_password(session: Session, folder: Path) -> None:
    rows = session.rows(
        "SELECT rolname FROM pg_authid WHERE rolpassword IS NULL AND rolcanlogin AND NOT rolsuper ORDER BY 1"
    )
    trusted = [str(row[0]) for row in rows if config.can_be_trusted(str(row[0]))]
    text = config.access_rules(trusted, superuser_over_tcp=IS_WINDOWS)
    path = folder / "pg_hba.conf"
    if files.read_own(path) != text:
        files.write(path, text, owner=files.owner_of(folder))
        session.rows("SELECT pg_reload_conf()")


def _cluster_name_at(target: Target, address: str) -> str:
    """Ask who answers; for a moment after a reload the old rules still hold, so ask again."""
    deadline = time.monotonic() + _RELOAD_SECONDS
    while True:
        try:
            with connection.log_in(**_parameters(target, address)) as session:
                return str(session.rows("SHOW cluster_name")[0][0])
        except CannotLogIn as error:
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"The embedded server was started, but {address}, port {target.port}, "
                    f'does not let the role "{target.user}" in: {error}',
                ) from None
            time.sleep(0.02)


def _parameters(target: Target, host: str) -> dict[str, object]:
    return {
        "host": host,
        "port": target.port,
        "user": target.user,
        "password": target.password,
        "dbname": "postgres",
    }


def _remember(folder: Path, target: Target) -> None:
    known = files.read_json(folder / location.ROLES)
    salt = secrets.token_hex(16)
    digest = None if target.password is None else _digest(target.password, salt)
    maintenance = target.dbname == MAINTENANCE
    known[target.user] = {"salt": salt, "digest": digest, **({"maintenance": True} if maintenance else {})}
    files.write_json(folder / location.ROLES, known, owner=files.owner_of(folder))


def _digest(password: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), _ROUNDS).hex()
