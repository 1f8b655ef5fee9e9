"""Decide the value of each setting, and keep the values that it shadows.

A name is looked up in every source of ``PRECEDENCE``; the first value wins and the others are kept as
shadowed, so that ``config --show`` only prints the result. Every value of our own names is checked, also
a shadowed one: a wrong type is an error in every source.
"""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

from ..errors import FlaskPostgresError
from .convert import ConversionError, Raw, convert
from .masking import masked
from .resolution import Entry, Resolution, Value
from .schema import BY_NAME, SETTINGS, Setting
from .sources import (
    PRECEDENCE,
    Found,
    Reading,
    Source,
    read_app,
    read_cli,
    read_env,
    read_foreign,
    read_toml,
)

__all__ = ["FOREIGN", "EngineUrl", "Entry", "Resolution", "Value", "resolve"]

FOREIGN: t.Mapping[str, tuple[tuple[Source, str], ...]] = {
    "target_database_uri": (("app", "SQLALCHEMY_DATABASE_URI"), ("env", "SQLALCHEMY_DATABASE_URI")),
    "env": (("app", "FLASK_ENV"), ("app", "ENV"), ("env", "FLASK_ENV")),
}
"""Names that are not ours, but set a setting that none of ours sets. Highest first."""

EngineUrl = t.Callable[[], t.Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    source: Source
    found: Found
    foreign: bool = False


def resolve(
    *,
    cli: t.Mapping[str, t.Any],
    app_config: t.Mapping[str, t.Any] | None,
    cwd: Path,
    root_path: Path | None,
    debug: bool,
    config_file: str | None,
    engine_url: EngineUrl,
    default_bind: bool = True,
) -> Resolution:
    """Read every source and decide every setting. Faults are collected, never raised.

    :param cli: the flags that the user typed, by the names of their settings.
    :param app_config: None where the app could not be loaded.
    :param engine_url: returns the URL of the extension's own engine, or None; called only when
        nothing else names a database.
    :param default_bind: False where the command is about binds by name: what the app says of its default
        database then decides nothing, and need not be PostgreSQL.
    """
    cwd = cwd.absolute()
    readings: dict[Source, Reading] = {
        "cli": read_cli(cli, cwd=cwd),
        "app": read_app(app_config, cwd=cwd),
        "toml": read_toml(config_file=config_file, cwd=cwd, root_path=root_path),
        "env": read_env(cwd=cwd),
    }
    tables = readings["toml"].environments
    chosen: t.Mapping[str, Found] = {}
    if tables:
        (env,) = (setting for setting in SETTINGS if setting.name == "env")
        candidates = [*_own(env, readings), *_foreign(env, app_config=app_config or {})]
        current = [*_judged(env, candidates), _default(env, debug)][0]
        chosen = tables.get(str(current.value).lower(), {})
    entries = []
    for setting in SETTINGS:
        candidates = _own(setting, readings, chosen)
        if setting.name != "target_database_uri" or default_bind:
            candidates += _foreign(setting, app_config=app_config or {})
        if setting.name == "target_database_uri" and not candidates and default_bind:
            candidates = _engine(engine_url)
        values = (*_judged(setting, candidates), _default(setting, debug))
        entries.append(Entry(setting=setting, values=values))
    others = (found for table in tables.values() if table is not chosen for found in table.items())
    return Resolution(
        entries=tuple(entries),
        general_faults=(
            *(fault for reading in readings.values() for fault in reading.faults),
            *_faults_elsewhere(others),
        ),
        files=readings["toml"].files,
        unused=tuple(name for reading in readings.values() for name in reading.unused),
    )


def _own(
    setting: Setting, readings: t.Mapping[Source, Reading], chosen: t.Mapping[str, Found] | None = None
) -> list[_Candidate]:
    """Return what the sources say, highest first.

    :param chosen: what the TOML file says for the current environment, above what it says for all.
    """
    candidates = []
    for source in PRECEDENCE:
        if source == "toml" and chosen and setting.name in chosen:
            candidates.append(_Candidate(source=source, found=chosen[setting.name]))
        if source in readings and setting.name in readings[source].values:
            candidates.append(_Candidate(source=source, found=readings[source].values[setting.name]))
    return candidates


def _faults_elsewhere(others: t.Iterable[tuple[str, Found]]) -> t.Iterator[str]:
    """Yield what is wrong with values of environments other than the current one."""
    for name, found in others:
        for value in _judged(BY_NAME[name], [_Candidate(source="toml", found=found)]):
            if value.fault is not None:
                yield value.fault


def _foreign(setting: Setting, *, app_config: t.Mapping[str, t.Any]) -> list[_Candidate]:
    found = (
        (source, read_foreign(source, name, app_config=app_config))
        for source, name in FOREIGN.get(setting.name, ())
    )
    return [_Candidate(source=source, found=value, foreign=True) for source, value in found if value]


def _engine(engine_url: EngineUrl) -> list[_Candidate]:
    origin = "the engine of the app's extension"
    try:
        url = engine_url()
    except FlaskPostgresError as error:
        return [_Candidate(source="app", found=Found(origin=origin, error=str(error)))]
    return [] if url is None else [_Candidate(source="app", found=Found(origin=origin, raw=Raw(value=url)))]


def _judged(setting: Setting, candidates: t.Sequence[_Candidate]) -> t.Iterator[Value]:
    for index, candidate in enumerate(candidates):
        found = candidate.found
        value, error = None, found.error
        if error is None:
            try:
                value = convert(setting, found.raw)
            except ConversionError as fault:
                error = str(fault)
        if error is not None and candidate.foreign and index > 0:
            # Shadowed, and not a setting of ours: an app's SQLite URI is right where it stands.
            value, error = masked(_as_text(found.raw.value)), None
        yield Value(
            source=candidate.source, origin=found.origin, value=value, error=error, raw=found.raw.value
        )


def _default(setting: Setting, debug: bool) -> Value:
    value, origin = setting.default, setting.unset or "built in"
    if setting.name == "env":
        value, origin = ("development", "debug is on") if debug else (value, "debug is off")
    elif setting.name == "target_database_uri":
        origin = "nothing names a database"
    return Value(source=PRECEDENCE[-1], origin=origin, value=value)


def _as_text(value: t.Any) -> str:
    render = getattr(value, "render_as_string", None)  # an SQLAlchemy URL
    return str(render(hide_password=True) if render else value)
