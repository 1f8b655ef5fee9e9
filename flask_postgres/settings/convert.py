"""Convert raw values from any source to values of settings: one converter for each kind."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import os
import re
import typing as t
from pathlib import Path

from ..errors import UriValidationError
from ..sizes import in_bytes
from .files import located
from .masking import quoted
from .schema import Kind, Setting

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
# Not int() or float(): they accept "1_0", "nan" and the digits of every script.
_INTEGER = re.compile(r"[+-]?[0-9]{1,15}")
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{0,15})?|\.[0-9]{1,15}")
_CONTROL = re.compile(r"[\x01-\x1f\x7f-\x9f\u2028\u2029]")
_QUOTED = re.compile(r"""\s*(["'])((?:(?!\1).)*)\1\s*""", re.DOTALL)
"""Text in one pair of quotes: ``docker run --env-file`` does not remove them."""
_ATTRIBUTE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class ConversionError(ValueError):
    """A raw value is not of its setting's kind. The message follows the place: "must be text, not …"."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A value as a source gives it.

    :param typed: the source has types of its own (TOML), so that text is no number.
    :param one_line: the source is a variable, or a file of one value: a control character is a mistake there.
    :param base: the folder at which a relative path starts.
    """

    value: t.Any
    typed: bool = False
    one_line: bool = False
    base: Path = Path()


def convert(setting: Setting, raw: Raw) -> t.Any:
    """Return the value of the setting.

    :raises ConversionError: if it is not one.
    """
    try:
        return _CONVERTERS[setting.kind](setting, raw)
    except ConversionError:
        raise
    except Exception as error:  # an object from the app's config, such as a proxy outside of a request
        raise ConversionError(f"cannot be read: its value raises {type(error).__name__}") from error


def _text(_: Setting, raw: Raw) -> str:
    if not isinstance(raw.value, str):
        raise ConversionError(f"must be text, not {_kind_of(raw.value)}")
    text = str.__str__(raw.value)  # of an enum the text, and not its name
    if not text.strip():
        raise ConversionError("must not be empty; remove it to leave it unset")
    if "\0" in text:
        raise ConversionError("must not contain a NUL character")
    if re.search("[\ud800-\udfff]", text):
        raise ConversionError("must be valid UTF-8")
    if raw.one_line and _CONTROL.search(text):
        raise ConversionError("must not contain a control character, such as a line break")
    return text


def _identifier(setting: Setting, raw: Raw) -> str:
    from ..uri import NAME_BYTES

    text = _text(setting, raw)
    if (size := len(text.encode())) > NAME_BYTES:
        raise ConversionError(f"has {size} bytes; a name in PostgreSQL has at most {NAME_BYTES}")
    return text


def _integer(setting: Setting, raw: Raw) -> int:
    value = raw.value
    if isinstance(value, str) and not raw.typed:
        if not _INTEGER.fullmatch(value.strip()):
            raise ConversionError(f"must be a whole number, not {quoted(value)}")
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConversionError(f"must be a whole number, not {_kind_of(value)}")
    low, high = setting.minimum, setting.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        raise ConversionError(f"must be between {low} and {high}")
    return int(value)


def _seconds(setting: Setting, raw: Raw) -> float:
    value = raw.value
    if isinstance(value, str) and not raw.typed:
        if not _NUMBER.fullmatch(value.strip()):
            raise ConversionError(f"must be a number of seconds, not {quoted(value)}")
        value = float(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ConversionError(f"must be a number of seconds, not {_kind_of(value)}")
    high = setting.maximum
    if not value > 0 or (high is not None and not value <= high):
        raise ConversionError(f"must be more than 0 seconds and at most {high}")
    return int(value) if value == int(value) else value


def _size(_: Setting, raw: Raw) -> str:
    value = raw.value
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        raise ConversionError(f"must be a size, such as 500MB, not {_kind_of(value)}")
    try:
        in_bytes(text)
    except ValueError:
        raise ConversionError(
            f"must be a size in bytes, kB, MB, GB or TB, such as 500MB, not {quoted(text)}"
        ) from None
    return text.strip()


def _boolean(_: Setting, raw: Raw) -> bool:
    value = raw.value
    # FLASK_…-prefixed variables reach app.config as JSON, so 1 and 0 are integers there.
    if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1) and not raw.typed):
        return bool(value)
    if raw.typed or not isinstance(value, str):
        raise ConversionError(f"must be true or false, not {_kind_of(value)}")
    text = value.strip().lower()
    if text not in _TRUE + _FALSE:
        raise ConversionError(f"must be true or false (or yes, no, on, off, 1, 0), not {quoted(value)}")
    return text in _TRUE


def _list(setting: Setting, raw: Raw) -> tuple[str, ...]:
    value = raw.value
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        raise ConversionError(f"must be a list of text, or text separated by ;, not {_kind_of(value)}")
    wrong = [item for item in items if not isinstance(item, str)]
    if wrong:
        raise ConversionError(f"must be a list of text, but contains {_kind_of(wrong[0])}")
    # Items of a sequence are split as well: a guard that names "production;staging" means two.
    pieces = [piece.strip() for item in items for piece in item.split(";")]
    # A guard that names "production,staging", or a list in JSON, would protect nothing.
    wrong = [piece for piece in pieces if re.search(r"[,\n\r\[\]]", piece)]
    if wrong:
        raise ConversionError(f"must be separated by ;, not as in {quoted(wrong[0])}")
    return tuple(_text(setting, dataclasses.replace(raw, value=piece)) for piece in pieces if piece)


def _seeds(setting: Setting, raw: Raw) -> tuple[str, ...]:
    """Return patterns of files as absolute paths, and functions and commands of the app as they are."""
    items = [raw.value] if isinstance(raw.value, str) else raw.value
    if not isinstance(items, (list, tuple)):
        raise ConversionError(f"must be a list of text, or text separated by ;, not {_kind_of(raw.value)}")
    texts = [_text(setting, dataclasses.replace(raw, value=item)) for item in items]
    # An argument of a command may have a semicolon, so only a text that is no list is split.
    pieces = [piece.strip() for piece in (texts[0].split(";") if isinstance(raw.value, str) else texts)]
    return tuple(_seed(piece, raw) for piece in pieces if piece)


def _seed(text: str, raw: Raw) -> str:
    if text.startswith("flask ") or _ATTRIBUTE.fullmatch(text):
        return text
    if not text.endswith((".sql", ".csv")):
        raise ConversionError(
            f"must name .sql and .csv files, module:function, or flask NAME, not {quoted(text)}"
        )
    return str(located(raw.base, text))


def _environment(setting: Setting, raw: Raw) -> str:
    name = _unquoted(text := _text(setting, raw))
    if not re.fullmatch(r"[\w.-]+", name):
        raise ConversionError(
            f"must be the name of an environment (letters, digits, _, - and .), not {quoted(text)}"
        )
    return name


def _environments(setting: Setting, raw: Raw) -> tuple[str, ...]:
    value = _unquoted(raw.value) if isinstance(raw.value, str) else raw.value
    names = _list(setting, dataclasses.replace(raw, value=value))
    return tuple(_environment(setting, Raw(value=name)) for name in names)


def _unquoted(text: str) -> str:
    found = _QUOTED.fullmatch(text)
    return (found[2] if found else text).strip()


def _choice(setting: Setting, raw: Raw) -> str:
    text = _text(setting, raw).strip()
    if text not in setting.choices:
        near = difflib.get_close_matches(text.lower(), setting.choices, n=1)
        remedy = f"; did you mean {near[0]}?" if near else ""
        raise ConversionError(f"must be one of {', '.join(setting.choices)}, not {quoted(text)}{remedy}")
    return text


def _path(setting: Setting, raw: Raw) -> Path:
    value = os.fspath(raw.value) if isinstance(raw.value, os.PathLike) else raw.value
    text = _text(setting, dataclasses.replace(raw, value=value))
    try:
        return located(raw.base, text)
    except ValueError as error:
        raise ConversionError(f"must be a path: {quoted(text)}: {error}") from None


def _uri(_: Setting, raw: Raw) -> t.Any:
    from sqlalchemy.engine import URL

    from ..uri import PostgresUri

    value = raw.value
    if not isinstance(value, (str, URL, PostgresUri)):
        raise ConversionError(f"must be a PostgreSQL URI, not {_kind_of(value)}")
    if isinstance(value, str) and not value.strip():
        raise ConversionError("must not be empty; remove it to leave it unset")
    if isinstance(value, str) and raw.one_line and _CONTROL.search(value.strip()):
        raise ConversionError("must not contain a control character, such as a line break")
    try:
        return PostgresUri(value)
    except UriValidationError as error:
        raise ConversionError(str(error)) from None


def _attribute(setting: Setting, raw: Raw) -> str:
    text = _text(setting, raw).strip()
    if not _ATTRIBUTE.fullmatch(text):
        raise ConversionError(f"must be MODULE:ATTRIBUTE, as myapp.models:metadata, not {quoted(text)}")
    return text


_CONVERTERS: t.Mapping[Kind, t.Callable[[Setting, Raw], t.Any]] = {
    "text": _text,
    "environment": _environment,
    "environments": _environments,
    "identifier": _identifier,
    "integer": _integer,
    "boolean": _boolean,
    "seconds": _seconds,
    "size": _size,
    "list": _list,
    "seeds": _seeds,
    "choice": _choice,
    "path": _path,
    "uri": _uri,
    "attribute": _attribute,
}

_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "text"),
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (dict, "a table"),
    ((list, tuple), "a list"),
    ((datetime.date, datetime.time), "a date or time"),  # datetime is a date
)


def _kind_of(value: t.Any) -> str:
    return next((name for kind, name in _KINDS if isinstance(value, kind)), f"a {type(value).__name__}")
