"""The exceptions, and the public names."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys

import pytest

import flask_postgres
from flask_postgres import errors


def classes() -> dict[str, type[BaseException]]:
    return {name: value for name, value in vars(errors).items() if inspect.isclass(value)}


def drawn() -> dict[str, str | None]:
    """Read the tree in the module's docstring: each class with the one it stands under."""
    above: dict[int, str] = {}
    found: dict[str, str | None] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ([│├└─ ]*)([A-Z]\w+)", line)
        if match:
            depth = len(match[1]) // 4
            found[match[2]] = above.get(depth - 1)
            above[depth] = match[2]
    return found


def test_every_exception_is_drawn_where_it_belongs() -> None:
    tree = drawn()
    assert tree.keys() == classes().keys()
    for name, parent in tree.items():
        if parent is not None and name != "Interrupted":
            assert classes()[name].__bases__[0].__name__ == parent, name


@pytest.mark.parametrize("name", sorted(classes()))
def test_exit_codes(name: str) -> None:
    kind = classes()[name]
    if issubclass(kind, errors.FlaskPostgresError):
        assert kind.exit_code == (2 if issubclass(kind, errors.UsageError) else 1)


def test_messages() -> None:
    assert str(errors.Refused("no.")) == "no."
    assert str(errors.Refused("no.", remedy="Ask again.")) == "no. Ask again."
    assert str(errors.SettingsError(["a is wrong", "b is wrong"])) == "a is wrong; b is wrong"
    reasons = [errors.Refused("one."), errors.PermissionDenied("two.", remedy="Do.")]
    failed = errors.PreflightFailed(reasons)
    assert failed.reasons == tuple(reasons)
    assert str(failed) == "one.; two. Do."
    assert isinstance(errors.UriValidationError("x", part="host"), ValueError)
    assert isinstance(errors.Interrupted(2), KeyboardInterrupt)
    assert not issubclass(errors.Interrupted, Exception), "an app's `except Exception` must not swallow it"


def test_all() -> None:
    assert flask_postgres.__all__ == sorted(flask_postgres.__all__, key=lambda name: (name.islower(), name))
    for name in flask_postgres.__all__:
        assert getattr(flask_postgres, name) is not None
        assert name in dir(flask_postgres)
    others = {"PostgresUri", "Reporter", "create_all", "create_db", "database_exists", "drop_db"}
    others |= {"init_db_callback", "worktree_uri"}
    assert set(flask_postgres.__all__) == others | classes().keys()


def test_no_other_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = flask_postgres.no_such_name
    with pytest.raises(ImportError):
        importlib.import_module("flask_postgres.utils")


def test_star_import() -> None:
    code = "from flask_postgres import *; print(create_db.__module__, PostgresUri.__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["flask_postgres.api", "flask_postgres.uri"]


def test_version() -> None:
    from importlib.metadata import version

    assert flask_postgres.__version__ == version("flask-postgres")
