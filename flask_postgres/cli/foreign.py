"""What an app's own code prints while a command lets it work: it goes through the redactor too."""

from __future__ import annotations

import contextlib
import sys
import typing as t

from ..redaction import Redactor


@contextlib.contextmanager
def redacted(hide: Redactor) -> t.Iterator[None]:
    """Take the known secrets out of what Python code prints in the block.

    Whatever writes past ``sys.stdout`` and ``sys.stderr``, such as a child process, is out of reach.
    """
    out, err = (
        t.cast("t.TextIO", _Redacted(sys.stdout, hide)),
        t.cast("t.TextIO", _Redacted(sys.stderr, hide)),
    )
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield
        finally:
            for stream in (out, err):
                with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
                    stream.flush()


class _Redacted:
    """A text stream that holds back the line that is being written: a secret may come in pieces."""

    def __init__(self, stream: t.TextIO, hide: Redactor) -> None:
        self._stream = stream
        self._hide = hide
        self._line = ""

    def write(self, text: str) -> int:
        whole, end, rest = (self._line + text).rpartition("\n")
        self._line = rest
        if end:
            self._stream.write(self._hide(whole + end))
        return len(text)

    def writelines(self, lines: t.Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        line, self._line = self._line, ""
        self._stream.write(self._hide(line))
        self._stream.flush()

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._stream, name)
