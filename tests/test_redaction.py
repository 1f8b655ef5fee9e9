"""Secrets leave every text, in every spelling, and leave the words around them alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL

from flask_postgres.redaction import Redactor


def hide(text: str, *secrets: str, shown: tuple[str, ...] = ()) -> str:
    redactor = Redactor()
    redactor.add(secrets, shown=shown)
    return redactor(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p@ss w/rd:1", "***"),
        ("u:p%40ss%20w%2Frd%3A1@h", "u:***@h"),
        ("u:p%40ss+w%2Frd%3A1@h", "u:***@h"),
        ("u:p%40ss%20w/rd%3A1@h", "u:***@h"),
        ("u:p%40ss w%2Frd%3A1@h", "u:***@h"),  # as SQLAlchemy writes it
        ("u:p%40ss w%2frd%3a1@h", "u:***@h"),
        ("u:p%%40ss%%20w%%2Frd%%3A1@h", "u:***@h"),  # as an Alembic config is given it
        ("twice p@ss w/rd:1p@ss w/rd:1", "twice ******"),
        ("nothing", "nothing"),
    ],
)
def test_every_spelling(text: str, expected: str) -> None:
    assert hide(text, "p@ss w/rd:1") == expected


@pytest.mark.parametrize(
    "secret", ["ab+cd/ef==", "50%off!", "a b%/c+", "back\\slash'\"", "pässwörd 1", "%%%20%"]
)
def test_in_every_rendering_of_a_url(secret: str) -> None:
    url = URL.create("postgresql", "u", secret, "h", database="x")
    for text in (secret, repr(secret)[1:-1], url.render_as_string(hide_password=False)):
        assert hide(f"<{text}>", secret) in ("<***>", "<postgresql://u:***@h/x>")


def test_the_longest_first() -> None:
    assert hide("secret-extra secret", "secret", "secret-extra") == "*** ***"


def test_a_shown_name_stays() -> None:
    assert hide('role "app_user", app_user2', "app_user", shown=("app_user",)) == 'role "app_user", app_user2'


@pytest.mark.parametrize("secret", ["e", "was", "data", "creat", "database", "deleted"])
def test_outcomes_stay_readable(secret: str) -> None:
    assert (
        hide('database "x" was deleted', secret, shown=("x",)).replace("***", secret)
        == 'database "x" was deleted'
    )
    assert "d" in hide("created", secret)


def test_a_short_secret_is_found_where_it_stands_alone() -> None:
    assert (
        hide("postgresql://u:e@h/x?password=e 'e' were", "e")
        == "postgresql://u:***@h/x?password=*** '***' were"
    )
    assert hide("u:#1@h", "#1") == "u:***@h"


def test_nothing_is_no_secret() -> None:
    redactor = Redactor()
    redactor.add([None, ""])
    assert redactor("text") == "text"


@given(st.text(min_size=5).filter(lambda text: not set("*") & set(text)), st.text(), st.text())
def test_never_in_the_output(secret: str, before: str, after: str) -> None:
    if any(secret in word for word in ("database", "created", "initialized", "deleted", "already", "exists")):
        return
    assert secret not in hide(f"{before}{secret}{after}", secret).replace(
        "***", "\0" if "\0" not in secret else "\1"
    )
