"""Read the sources of settings: one reader for each, which returns raw values with their origins."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import typing as t
from pathlib import Path

from . import environment
from .convert import Raw
from .masking import masked
from .schema import (
    BY_NAME,
    CONFIG_VARIABLE,
    ENVIRONMENTS,
    OF_AN_ENVIRONMENT,
    PREFIX,
    SETTINGS,
    Setting,
)
from .tomlfile import FileStatus, Located, expand, locate

Source = t.Literal["cli", "app", "toml", "env", "default"]

PRECEDENCE: tuple[Source, ...] = ("cli", "app", "toml", "env", "default")
"""Highest first. Nothing else decides which source wins."""

_NEARLY = 0.8
_MADE_BY_OTHERS = re.compile(r"_SERVICE_|_PORT")
"""Kubernetes and Docker set such variables for a service called flask-postgres."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A value in a source.

    :param origin: where exactly: the flag, the key of ``app.config``, the file and key, the variable.
    :param error: why there is no value after all, such as a file that cannot be read.
    """

    origin: str
    raw: Raw = dataclasses.field(default_factory=lambda: Raw(value=None), repr=False)
    error: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All that one source says.

    :param environments: what it says for one environment, by the environment's name in lower case.
    """

    values: t.Mapping[str, Found] = dataclasses.field(default_factory=dict)
    environments: t.Mapping[str, t.Mapping[str, Found]] = dataclasses.field(default_factory=dict)
    faults: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    files: tuple[FileStatus, ...] = ()


def read_cli(given: t.Mapping[str, t.Any], *, cwd: Path) -> Reading:
    """Read the flags that the user typed, by the names of their settings."""
    typed = {name: value for name, value in given.items() if value is not None and value != ()}
    return Reading(
        values={
            name: Found(origin=_flag(BY_NAME[name], value), raw=Raw(value=value, base=cwd))
            for name, value in typed.items()
        }
    )


def read_app(config: t.Mapping[str, t.Any] | None, *, cwd: Path) -> Reading:
    """Read ``app.config``; None where the app could not be loaded."""
    given = {key: value for key, value in (config or {}).items() if value is not None}
    known = {declared.variable for declared in SETTINGS}
    faults, unused = _strangers(given, known=known, place=app_origin)
    values = {
        declared.name: Found(
            origin=app_origin(declared.variable), raw=Raw(value=given[declared.variable], base=cwd)
        )
        for declared in SETTINGS
        if declared.variable in given
    }
    return Reading(values=values, faults=faults, unused=unused)


def read_toml(*, config_file: str | None, cwd: Path, root_path: Path | None) -> Reading:
    """Read the TOML file that is named, or else found."""
    from_variable = os.environ.get(CONFIG_VARIABLE) or None
    named_by = "--config" if config_file is not None else CONFIG_VARIABLE
    named = config_file if config_file is not None else from_variable
    found = locate(named=named, named_by=named_by, cwd=cwd, root_path=root_path)
    if found.table is None:
        return Reading(files=found.files, faults=(found.fault,) if found.fault else ())
    general = {key: value for key, value in found.table.items() if key != ENVIRONMENTS}
    environments, faults = _environments(found)
    return Reading(
        values={key: _toml_value(found, general, key) for key in general if key in BY_NAME},
        environments=environments,
        faults=(*(_unknown_key(found, key) for key in general if key not in BY_NAME), *faults),
        files=found.files,
    )


def read_env(*, cwd: Path) -> Reading:
    """Read the environment: each variable, or the file that its ``_FILE`` twin names."""
    known = {declared.variable + suffix for declared in SETTINGS for suffix in ("", environment.FILE)}
    faults, unused = _strangers(os.environ, known=known | {CONFIG_VARIABLE}, place=str)
    values = {declared.name: _env_value(declared.variable, cwd=cwd) for declared in SETTINGS}
    return Reading(
        values={name: found for name, found in values.items() if found is not None},
        faults=faults,
        unused=unused,
    )


def read_foreign(source: Source, name: str, *, app_config: t.Mapping[str, t.Any]) -> Found | None:
    """Read a name that is not ours from the app's config or the environment; an empty one does not count."""
    if source == "app":
        found = Found(origin=app_origin(name), raw=Raw(value=app_config.get(name)))
    elif environment.is_set(name):
        found = _variable(name)
    else:
        return None
    value = found.raw.value
    return None if value is None or (isinstance(value, str) and not value.strip()) else found


def app_origin(key: str) -> str:
    """Return how a key of the app's config is written."""
    return f'app.config["{key}"]'


def _flag(setting: Setting, value: t.Any) -> str:
    on, _, off = setting.flags[0].partition("/") if setting.flags else (setting.name, "", "")
    return off if off and value is False else on


def _environments(found: Located) -> tuple[dict[str, dict[str, Found]], list[str]]:
    """Return what the file says for one environment each, and what is wrong with that."""
    assert found.table is not None
    tables = found.table.get(ENVIRONMENTS, {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        return {}, [f"{found.place}: {ENVIRONMENTS} must have a table for each environment"]
    read: dict[str, dict[str, Found]] = {}
    faults = []
    for name, table in tables.items():
        where = f"[{ENVIRONMENTS}.{masked(name)}]"
        if name.lower() in read:
            faults.append(f"{found.place}: {where} is there twice")
        read[name.lower()] = {
            key: _toml_value(found, table, key, where=f" {where}")
            for key in table
            if key in OF_AN_ENVIRONMENT
        }
        allowed = ", ".join(OF_AN_ENVIRONMENT)
        faults += [
            f'{found.place} {where}: "{masked(key)}" cannot be set for one environment; these can: {allowed}'
            for key in table
            if key not in OF_AN_ENVIRONMENT
        ]
    return read, faults


def _toml_value(found: Located, table: t.Mapping[str, t.Any], key: str, *, where: str = "") -> Found:
    assert found.path is not None
    origin = f"{found.place}:{where} {key}"
    try:
        value = _expanded(table[key])
    except ValueError as error:
        return Found(origin=origin, raw=Raw(value=table[key]), error=str(error))
    return Found(
        origin=origin, raw=Raw(value=value, typed=True, one_line=True, base=found.path.resolve().parent)
    )


def _expanded(value: t.Any) -> t.Any:
    if isinstance(value, str):
        return expand(value, os.environ)
    return [_expanded(item) for item in value] if isinstance(value, list) else value


def _unknown_key(found: Located, key: str) -> str:
    plain = key.lower().replace("-", "_").removeprefix(PREFIX.lower())
    meant = {part: declared.name for declared in SETTINGS for part in _spellings(declared)}
    near = difflib.get_close_matches(plain, meant, n=1, cutoff=0.5)
    remedy = f'did you mean "{meant[near[0]]}"?' if near else "flask psql config --example lists them all."
    return f'{found.place}: unknown key "{masked(key)}"; {remedy}'


def _spellings(setting: Setting) -> list[str]:
    """Return what a setting may be called: its name, and its flags as a key would have them."""
    flags = [part for flag in setting.flags for part in flag.split("/") if part.startswith("--")]
    return [setting.name, *(flag.removeprefix("--").replace("-", "_") for flag in flags)]


def _env_value(name: str, *, cwd: Path) -> Found | None:
    file = name + environment.FILE
    if not environment.is_set(file):
        return _variable(name, cwd=cwd) if environment.is_set(name) else None
    if environment.is_set(name):
        error = f"{file} is set as well; unset one of them"
        return Found(origin=name, raw=Raw(value=os.environ[name]), error=error)
    origin = f"{file} ({masked(os.environ[file])})"
    try:
        text = environment.content(file, cwd=cwd)
    except ValueError as error:
        return Found(origin=origin, raw=Raw(value=os.environ[file]), error=str(error))
    return Found(origin=origin, raw=Raw(value=text, one_line=True, base=cwd))


def _variable(name: str, *, cwd: Path = Path()) -> Found:
    return Found(origin=name, raw=Raw(value=environment.text(name), one_line=True, base=cwd))


def _strangers(
    given: t.Iterable[str], *, known: set[str], place: t.Callable[[str], str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sort names of our prefix that are no setting: into faults where misspelt, else into unused ones."""
    ours = [key for key in given if isinstance(key, str) and key.startswith(PREFIX) and key not in known]
    faults, unused = [], []
    for key in sorted(ours):
        near = None if _MADE_BY_OTHERS.search(key) else _nearly(key, known)
        if near is None:
            unused.append(place(key))
        else:
            faults.append(f"{place(key)}: there is no such setting; did you mean {near}?")
    return tuple(faults), tuple(unused)


def _nearly(key: str, known: set[str]) -> str | None:
    """Return the known name that this nearly is. The prefix, which they share, does not count."""
    endings = sorted(name.removeprefix(PREFIX) for name in known)
    near = difflib.get_close_matches(key.removeprefix(PREFIX), endings, n=1, cutoff=_NEARLY)
    return PREFIX + near[0] if near else None
