"""``init_db_callback``: the app's own way to fill its database.

User apps import this module, so it imports nothing that they would not have to load anyway.

Which app a callback belongs to is told in :mod:`.ownership`.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
import typing as t
import warnings

from ..errors import AppError, CallbackFailed
from .ownership import AnyCallable, Claim, Origin, claim, disputed, owner

if t.TYPE_CHECKING:
    from flask import Flask

F = t.TypeVar("F", bound=AnyCallable)

_EXTENSION_KEY = "flask_postgres"
_OFFERED = ("app", "db")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Callback:
    """A function that fills the database, and where it was registered."""

    func: AnyCallable
    origin: Origin

    @property
    def name(self) -> str:
        """The module and qualified name, such as ``shop.seed.init_db``."""
        qualname = getattr(self.func, "__qualname__", None) or type(self.func).__qualname__
        return f"{self.origin.module}.{qualname}"

    @property
    def place(self) -> str | None:
        """Where the function is defined, as ``file:line``."""
        return _definition(self.func)

    def run(self, app: Flask, db: t.Any) -> bool:
        """Run the callback in the app's context.

        :returns: whether ``db.session`` has changes that were not committed, and are lost.
        :raises CallbackFailed: whatever it raises, ``sys.exit`` and asyncio's CancelledError included. A
            KeyboardInterrupt is not the callback's own and passes through.
        """
        return run_function(self.func, app, db, what=f"the init callback {self.name}")


def run_function(func: AnyCallable, app: Flask, db: t.Any, *, what: str) -> bool:
    """Run a function of the app's in the app's context; see :meth:`Callback.run`.

    :param what: what it is, for the error.
    """
    args, kwargs = _arguments(func, {"app": app, "db": db})
    try:
        with app.app_context():
            result = func(*args, **kwargs)
            if inspect.iscoroutine(result):
                _finish(result)
            return _has_changes(db)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        from . import faults

        place = faults.where(error, root=app.root_path) or _definition(func)
        raise CallbackFailed(f"{what} failed: {faults.describe(error)}{faults.at(place)}") from error


_at_module_level: dict[str, Callback] = {}
"""Callbacks registered at module level, by name, oldest first. Others are kept by their app."""


@t.overload
def init_db_callback(func: F, /) -> F: ...
@t.overload
def init_db_callback(*, app: Flask) -> t.Callable[[F], F]: ...
def init_db_callback(func: F | None = None, /, *, app: Flask | None = None) -> F | t.Callable[[F], F]:
    """Register the function that ``flask psql init``, ``setup`` and ``reset`` run.

    It may take ``app``, ``db``, both in any order, or nothing, and runs in the application context,
    on the database that the command is about. It may be a coroutine function.

    A second, different callback of one app replaces the first with a ``UserWarning``; the same
    function registered again, as by a factory that is called twice, replaces it silently.

    :param app: the app that it belongs to. Needed only where that cannot be seen: see the
        module's documentation for the rule.
    :raises AppError: if the function requires other parameters, or is a generator function.
    """
    frame = sys._getframe(1)
    if func is not None:
        _register(func, app, frame)
        return func

    def decorator(func: F) -> F:
        _register(func, app, sys._getframe(1))
        return func

    return decorator


def callback_for(app: Flask) -> Callback | None:
    """Return the callback that belongs to this app, or None.

    :raises AppError: if two apps that stand side by side have equal claims to it.
    """
    _forget_unloaded()
    ranked = [(claim(app, callback.origin), callback) for callback in _at_module_level.values()]
    if (own := app.extensions.get(_EXTENSION_KEY)) is not None:
        ranked.append((Claim.OWN, own))
    claimed = [(how, callback) for how, callback in ranked if how is not Claim.NONE]
    if not claimed:
        return None
    best, chosen = max(reversed(claimed), key=lambda pair: pair[0])
    for _, other in claimed:
        if other.name != chosen.name:
            _warn_replaced(chosen, other, stacklevel=3)
    if best is not Claim.OWN:
        _check_not_disputed(app, chosen)
    return chosen


def _register(func: AnyCallable, app: Flask | None, frame: types.FrameType) -> None:
    _check_signature(func)
    _check_not_a_generator(func)
    callback = Callback(func, Origin.of(func, frame))
    belongs_to = app if app is not None else owner(frame)
    rivals = _replace_on_app(belongs_to, callback) if belongs_to is not None else _replace(callback)
    for other in rivals:
        if other.name != callback.name:
            _warn_replaced(callback, other, stacklevel=4)


def _replace_on_app(app: Flask, callback: Callback) -> list[Callback]:
    previous = app.extensions.get(_EXTENSION_KEY)
    app.extensions[_EXTENSION_KEY] = callback
    return [previous] if previous is not None else []


def _replace(callback: Callback) -> list[Callback]:
    _forget_unloaded()
    package = callback.origin.package
    rivals = [other for other in _at_module_level.values() if other.origin.package == package]
    for other in rivals:
        del _at_module_level[other.name]
    _at_module_level[callback.name] = callback
    return rivals


def _forget_unloaded() -> None:
    for name, callback in list(_at_module_level.items()):
        if callback.origin.is_gone:
            del _at_module_level[name]


def _check_not_disputed(app: Flask, callback: Callback) -> None:
    names = " or ".join(disputed(app, callback.origin))
    if names:
        message = f"the init callback {callback.name} is ambiguous: its package defines {names}."
        raise AppError(message, remedy="Pass app=: @init_db_callback(app=…)")


def _warn_replaced(new: Callback, old: Callback, *, stacklevel: int) -> None:
    message = (
        f"init_db_callback: {new.name} replaces {old.name}. An app has one init callback;"
        " if they belong to two apps, register each with @init_db_callback(app=…)."
    )
    warnings.warn(message, UserWarning, stacklevel=stacklevel)


# Signatures


def _check_signature(func: AnyCallable) -> None:
    if not callable(func):
        raise AppError(f"init_db_callback takes a function, not {type(func).__name__}.")
    foreign = [
        parameter.name
        for parameter in inspect.signature(func).parameters.values()
        if parameter.name not in _OFFERED
        and parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if foreign:
        names = ", ".join(foreign)
        where = _definition(func)
        message = f"the init callback {getattr(func, '__qualname__', func)} asks for {names}"
        message += f" ({where})." if where else "."
        raise AppError(message, remedy="It can take app, db, both in any order, or nothing.")


def _check_not_a_generator(func: AnyCallable) -> None:
    plain = inspect.unwrap(func)
    if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
        where = _definition(func)
        message = f"the init callback {getattr(func, '__qualname__', func)} is a generator function"
        message += f" ({where}): calling it runs nothing." if where else ": calling it runs nothing."
        raise AppError(message, remedy="Write it without yield.")


def _has_changes(db: t.Any) -> bool:
    try:
        session = db.session
        return bool(session.new or session.dirty or session.deleted)
    except Exception:  # an extension without such a session, or one of several
        return False


def _arguments(func: AnyCallable, offered: dict[str, t.Any]) -> tuple[list[t.Any], dict[str, t.Any]]:
    args: list[t.Any] = []
    kwargs: dict[str, t.Any] = {}
    for parameter in inspect.signature(func).parameters.values():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            args.append(offered.get(parameter.name, parameter.default))
        elif parameter.name in offered and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            kwargs[parameter.name] = offered[parameter.name]
    return args, kwargs


def _definition(func: AnyCallable) -> str | None:
    code = getattr(inspect.unwrap(func), "__code__", None)
    if code is None:
        return None
    from . import faults

    return f"{faults.shown_path(code.co_filename)}:{code.co_firstlineno}"


def _finish(coroutine: t.Coroutine[t.Any, t.Any, t.Any]) -> None:
    import asyncio

    asyncio.run(coroutine)
