"""Split a file of SQL into statements, as psql reads it."""

from __future__ import annotations

import re
import typing as t

from ...errors import AppError


class Statement(t.NamedTuple):
    """One statement of a file.

    :param line: the line on which it begins, from 1.
    :param data: the lines that follow a ``COPY … FROM stdin``, as they are; None for any other statement.
    """

    text: str
    line: int
    data: str | None = None

    @property
    def table(self) -> str | None:
        """The table that it fills, as it is written; None where it fills none."""
        found = _FILLS.match(_without_comments(self.text))
        return found["table"].strip() if found else None

    @property
    def moves(self) -> bool:
        """Whether it may let the names of tables mean others."""
        return "search_path" in self.text.lower()


def statements(text: str, *, name: str) -> t.Iterator[Statement]:
    """Yield the statements of a text.

    Transactions are the caller's: ``BEGIN`` and ``COMMIT`` are left out. Of psql's own commands those are
    passed over that ``pg_dump`` writes to no effect.

    :param name: of the file, for errors.
    :raises AppError: at another command of psql's, ``ROLLBACK``, or what is not ended.
    """
    position = counted = 0
    line = 1
    while position < len(text):
        found = _next(text, position, name)
        if found is None:
            return
        start, end = found
        line, counted = line + text.count("\n", counted, start), start
        body = text[start:end].strip().rstrip(";").rstrip()
        position = end
        data = None
        plain = _without_comments(body)
        if _COPIES.search(plain):
            data, position = _data(text, end, name)
        if _NOT_IN_ONE.match(plain):
            raise AppError(
                f"{name}:{line}: a seed cannot roll back, or prepare: all seeds are one transaction."
            )
        if _STRINGS.match(plain):
            raise AppError(
                f"{name}:{line}: a seed is read with standard_conforming_strings on, and keeps it."
            )
        if _TRANSACTION.match(plain):
            continue
        yield Statement(body, line, data)


_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
    |(?P<comment>--[^\n]*|/\*)
    |(?P<quoted>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*")
    |(?P<dollar>\$(?:[^\W\d][\w]*)?\$)
    |(?P<word>[^\W\d][\w$]*)
    |(?P<number>\d[\w$]*)
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COPIES = re.compile(r"^copy\b.*\bfrom\s+stdin\b", re.IGNORECASE | re.DOTALL)
_TRANSACTION = re.compile(r"(?:begin|start|commit|end)\b(?!\s+prepared)", re.IGNORECASE)
_NOT_IN_ONE = re.compile(
    r"(?:rollback|abort)\b(?!\s+(?:(?:work|transaction)\s+)?to\b)|prepare\s+transaction\b|\w+\s+prepared\b",
    re.IGNORECASE,
)
_STRINGS = re.compile(
    r"set\b.*\bstandard_conforming_strings\b.*\b(?:off|false|0)\b", re.IGNORECASE | re.DOTALL
)
_NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_FILLS = re.compile(
    rf"(?:insert\s+into\s+|copy\s+(?=[^;]*?\sfrom\s))(?P<table>{_NAME}(?:\s*\.\s*{_NAME})?)", re.IGNORECASE
)
_PASSED_OVER = re.compile(r"\\(?:un)?restrict\b[^\n]*")
_COMMAND = re.compile(r"\\\S*")


def _next(text: str, position: int, name: str) -> tuple[int, int] | None:
    """Return where the next statement begins and ends; None where there is none."""
    start: int | None = None
    depth = nested = 0
    words: list[str] = []
    while position < len(text):
        token = _TOKEN.match(text, position)
        assert token is not None, "one alternative takes any character"
        kind, found = token.lastgroup, token.group()
        if kind == "other" and found == "\\":
            position = _command(text, position, name)
            continue
        if kind == "space":
            position = token.end()
            continue
        if kind == "comment":
            position = token.end() if found != "/*" else _after_comment(text, position, name)
            continue
        start = position if start is None else start
        if kind == "dollar":
            end = text.find(found, token.end())
            if end < 0:
                raise AppError(f"{name}:{_line(text, position)}: the quote {found} is not closed.")
            position = end + len(found)
            continue
        if found in ("'", '"'):
            raise AppError(f"{name}:{_line(text, position)}: the quote {found} is not closed.")
        if kind == "word":
            words.append(found.lower())
            nested = _nested(words, nested)
        position = token.end()
        depth += {"(": 1, ")": -1}.get(found, 0)
        if found == ";" and depth <= 0 and not nested:
            assert start is not None
            if position - start > 1:
                return start, position
            start, words = None, []
    return None if start is None else (start, len(text))


def _nested(words: t.Sequence[str], nested: int) -> int:
    """Return how deep in the body of a function in SQL (``BEGIN ATOMIC``) the last word is."""
    if words[0] != "create" or not {"function", "procedure"} & {*words[:4]}:
        return 0
    if words[-1] == "begin" or (words[-1] == "case" and nested):
        return nested + 1
    return nested - 1 if words[-1] == "end" and nested else nested


def _after_comment(text: str, position: int, name: str) -> int:
    """Return the end of a comment; such comments nest."""
    depth = 0
    for found in re.compile(r"/\*|\*/").finditer(text, position):
        depth += 1 if found.group() == "/*" else -1
        if not depth:
            return found.end()
    raise AppError(f"{name}:{_line(text, position)}: the comment is not closed.")


def _command(text: str, position: int, name: str) -> int:
    """Pass over a command of psql's that has no effect here; refuse any other."""
    passed = _PASSED_OVER.match(text, position)
    if passed is not None:
        return passed.end()
    found = _COMMAND.match(text, position)
    command = found.group() if found else "\\"
    raise AppError(
        f"{name}:{_line(text, position)}: {command} is a command of psql's, which a seed cannot run.",
        remedy="Run the file with psql: flask psql shell -- -f FILE",
    )


def _data(text: str, position: int, name: str) -> tuple[str, int]:
    """Return the lines of data after a COPY, and where the text goes on."""
    begin = text.find("\n", position) + 1
    end = re.compile(r"^\\\.\r?$", re.MULTILINE).search(text, begin) if begin else None
    if end is None:
        raise AppError(f"{name}:{_line(text, position)}: the data of COPY have no end, a line of \\. alone.")
    return text[begin : end.start()], end.end()


def _without_comments(body: str) -> str:
    return re.sub(r"^(?:\s+|--[^\n]*\n|/\*.*?\*/)+", "", body, flags=re.DOTALL)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
