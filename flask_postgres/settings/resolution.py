"""The value of each setting with its origin, and the values that it shadows."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ..errors import SettingsError
from .masking import secrets_in
from .schema import Setting, Settings
from .sources import PRECEDENCE, Source
from .tomlfile import FileStatus


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What one source says about a setting.

    :param raw: the value as the source gives it; it may hold a password.
    """

    source: Source
    origin: str
    value: t.Any = None
    error: str | None = None
    raw: t.Any = dataclasses.field(default=None, repr=False)

    @property
    def fault(self) -> str | None:
        """The error with its place, None where there is none."""
        return None if self.error is None else f"{self.origin}: {self.error}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One setting, decided.

    :param values: what each source says, the winner first and the default last.
    """

    setting: Setting
    values: tuple[Value, ...]

    @property
    def name(self) -> str:
        return self.setting.name

    @property
    def value(self) -> t.Any:
        return self.values[0].value

    @property
    def source(self) -> Source:
        return self.values[0].source

    @property
    def origin(self) -> str:
        return self.values[0].origin

    @property
    def error(self) -> str | None:
        return self.values[0].error

    @property
    def shadowed(self) -> tuple[Value, ...]:
        return self.values[1:]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resolution:
    """Every setting, decided, with all that was wrong on the way.

    :param general_faults: those that belong to no setting: unknown keys, a file that cannot be read.
    :param unused: names of our prefix that no setting has.
    """

    entries: tuple[Entry, ...]
    general_faults: tuple[str, ...] = ()
    files: tuple[FileStatus, ...] = ()
    unused: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Entry:
        return next(entry for entry in self.entries if entry.name == name)

    def is_set(self, name: str) -> bool:
        """Whether any source sets it, so that its default is not in force."""
        return self[name].source != PRECEDENCE[-1]

    @property
    def faults(self) -> tuple[str, ...]:
        values = [value for entry in self.entries for value in entry.values]
        return self.general_faults + tuple(value.fault for value in values if value.fault)

    @property
    def notes(self) -> tuple[str, ...]:
        """What every command prints: files that were found and, for safety, not read."""
        return tuple(f"{file.path}: {file.status}" for file in self.files if file.note)

    @functools.cached_property
    def settings(self) -> Settings:
        """The values.

        :raises SettingsError: with every fault, if there are any.
        """
        if self.faults:
            raise SettingsError(self.faults)
        return Settings(**{entry.name: entry.value for entry in self.entries})

    def secrets(self) -> t.Iterator[str]:
        """Yield every secret of every source, also of shadowed and faulty values."""
        for value in (value for entry in self.entries for value in entry.values):
            yield from getattr(value.value, "secrets", ())
            if value.error is not None or not hasattr(value.value, "secrets"):
                yield from secrets_in(value.raw)

    def shown_names(self) -> t.Iterator[str]:
        """Yield the users, hosts, databases and other names that are shown on purpose."""
        for entry in self.entries:
            for value in entry.values:
                if entry.setting.kind in ("identifier", "environment", "choice") and value.value is not None:
                    yield value.value
                elif hasattr(value.value, "hosts"):
                    hosts = (host for host, _ in value.value.hosts)
                    yield from filter(None, (value.value.user, value.value.dbname, *hosts))
