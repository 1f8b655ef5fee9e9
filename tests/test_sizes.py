"""Sizes, as PostgreSQL writes them."""

from __future__ import annotations

import pytest

from flask_postgres.sizes import in_bytes, size_text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("7", 7),
        ("7 B", 7),
        ("7 bytes", 7),
        ("1kB", 1024),
        ("2 mb", 2 << 20),
        (" 1GB ", 1 << 30),
        ("1TB", 1 << 40),
    ],
)
def test_in_bytes(text: str, size: int) -> None:
    assert in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "1PB", "1.5GB", "-1", "1 G B", "\u0661GB", "1" * 16])
def test_no_size(text: str) -> None:
    with pytest.raises(ValueError):
        in_bytes(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "unknown"),
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1536, "1.5 kB"),
        (1 << 30, "1.0 GB"),
        (1 << 50, "1024.0 TB"),
    ],
)
def test_size_text(size: int | None, text: str) -> None:
    assert size_text(size) == text
