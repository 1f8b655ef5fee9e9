"""Whose callback is it?

1. One registered **inside a function**, as in a factory, belongs to the app among that function's
   variables, else to the app whose context is active there. ``init_db_callback(app=app)`` says it
   outright, anywhere.
2. One registered **at module level** belongs to every app of its top-level package: to ``shop`` and
   ``shop.web`` when it stands in ``shop.seed``, however often the factory is called.
3. One that stands in a package of no app (``seeds.py`` beside ``app.py``) belongs to the app
   whose package imported it, and in any case to the only app there is.

So two apps in one process do not get each other's callback.
"""

from __future__ import annotations

import dataclasses
import enum
import gc
import inspect
import sys
import types
import typing as t
import weakref

if t.TYPE_CHECKING:
    from flask import Flask

AnyCallable = t.Callable[..., t.Any]


class Claim(enum.IntEnum):
    """How strongly an app can claim a callback."""

    NONE = 0
    NEARBY = 1
    SAME_PACKAGE = 2
    SAME_MODULE = 3
    OWN = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Where a function was registered.

    :param namespace: the globals of its module.
    :param importers: the top-level packages that were being imported, or run, at that time.
    :param was_loaded: whether its module was in ``sys.modules`` then.
    :param visible: the apps among the variables of the function that registered it, by their names.
    """

    module: str
    namespace: dict[str, t.Any]
    importers: frozenset[str]
    was_loaded: bool
    visible: dict[str, weakref.ref[Flask]]

    @classmethod
    def of(cls, func: AnyCallable, frame: types.FrameType) -> Origin:
        module = getattr(func, "__module__", None) or "__main__"
        namespace = getattr(inspect.unwrap(func), "__globals__", {})
        local = {} if _is_module_level(frame) else _apps_in(frame.f_locals)
        visible = {name: weakref.ref(app) for name, app in local.items()}
        return cls(module, namespace, _importers(frame), _is_loaded(module, namespace), visible)

    @property
    def package(self) -> str:
        return top_level(self.module)

    @property
    def is_gone(self) -> bool:
        """Whether its module was unloaded or loaded anew since: it takes its callbacks with it."""
        return self.was_loaded and not _is_loaded(self.module, self.namespace)


def owner(frame: types.FrameType) -> Flask | None:
    """Return the app that a registration inside a function is for.

    A module runs once while its factory may run often, so nothing that is active by chance while it
    is imported says anything about it.
    """
    if _is_module_level(frame):
        return None
    visible = _apps_in(frame.f_locals)
    if len(visible) == 1:
        return next(iter(visible.values()))
    flask = sys.modules.get("flask")
    if not visible and flask is not None and flask.has_app_context():
        return t.cast("Flask", flask.current_app._get_current_object())
    return None


def claim(app: Flask, origin: Origin) -> Claim:
    """Return how strongly an app can claim a callback of module level."""
    if _is_home(app, origin):
        return Claim.SAME_MODULE if app.import_name == origin.module else Claim.SAME_PACKAGE
    others = [other for other in _live_apps() if other is not app]
    if any(_is_home(other, origin) for other in others):
        return Claim.NONE
    if top_level(app.import_name) in origin.importers or not others:
        return Claim.NEARBY
    return Claim.NONE


def disputed(app: Flask, origin: Origin) -> list[str]:
    """Return the names of the apps with an equal claim: two with a database, side by side."""
    visible = {name: found for name, seen in origin.visible.items() if (found := seen()) is not None}
    apps = {
        name: other
        for name, other in (visible or _apps_in(origin.namespace)).items()
        if other is app or "sqlalchemy" in other.extensions
    }
    is_among = any(other is app for other in apps.values())
    return sorted(apps) if is_among and len(apps) > 1 else []


def top_level(module: str) -> str:
    """Return the first part of a module's name."""
    return module.partition(".")[0]


def _is_home(app: Flask, origin: Origin) -> bool:
    if top_level(app.import_name) == origin.package:
        return True
    return any(other is app for other in _apps_in(origin.namespace).values())


def _is_module_level(frame: types.FrameType) -> bool:
    return frame.f_code.co_name == "<module>"


def _apps_in(namespace: t.Mapping[str, t.Any]) -> dict[str, Flask]:
    """Return the distinct apps among the values, each by its first name."""
    flask = sys.modules.get("flask")
    if flask is None:
        return {}
    found: dict[str, Flask] = {}
    for name, value in list(namespace.items()):
        # By type(), because isinstance() looks through the current_app proxy.
        if issubclass(type(value), flask.Flask) and not any(value is other for other in found.values()):
            found[name] = value
    return found


def _live_apps() -> list[Flask]:
    flask = sys.modules["flask"]
    return [thing for thing in gc.get_objects() if issubclass(type(thing), flask.Flask)]


def _importers(frame: types.FrameType) -> frozenset[str]:
    names = set()
    step: types.FrameType | None = frame
    while step is not None:
        names.add(top_level(step.f_globals.get("__name__") or ""))
        step = step.f_back
    return frozenset(names)


def _is_loaded(module: str, namespace: dict[str, t.Any]) -> bool:
    found = sys.modules.get(module)
    return found is not None and vars(found) is namespace
