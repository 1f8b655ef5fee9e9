"""Marks in comments, and the names that only this tool makes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_postgres.postgres import marks
from flask_postgres.postgres.marks import Mark, State

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
    lambda text: len(text.encode()) <= 63
)
MARKS = st.builds(
    Mark,
    st.sampled_from(State),
    st.none() | NAMES,
    st.none() | st.just("0badcafe"),
    st.booleans(),
    st.booleans(),
)


@given(MARKS, st.none() | st.text(min_size=1))
def test_there_and_back(mark: Mark, comment: str | None) -> None:
    assert marks.split(mark.under(comment)) == (comment, mark)


@given(st.text().filter(lambda text: "[flask-postgres:" not in text))
def test_what_others_wrote_is_theirs(comment: str) -> None:
    assert marks.split(comment) == (comment, None)


@pytest.mark.parametrize(
    "comment",
    [
        None,
        "",
        "before [flask-postgres:protected {}]",
        '[flask-postgres:unfinished {"of": "shop", "token": "0badcafe"}]\nas it says',
        '[flask-postgres:unfinished {"of": "shop", "token": "0badcafe"}]\n',
    ],
)
def test_no_mark(comment: str | None) -> None:
    """Nobody may drop a database because its comment quotes a mark."""
    assert marks.split(comment) == (comment, None)


@pytest.mark.parametrize(
    ("comment", "others"),
    [
        ("mine\n[flask-postgres:protected {}]\nadded by hand", "mine\nadded by hand"),
        ("[flask-postgres:protected {}]\n", None),
        ("mine\r\n  [flask-postgres:protected {}] \r\n", "mine\r\n"),
        ("[flask-postgres:protected]", None),
        ("[flask-postgres:protected {}] and more", None),
        ("[flask-postgres:protected {broken}]", None),
        ('[flask-postgres:frozen {"of": "shop"}]', None),
        ('[flask-postgres:unfinished {"of": "shop", "token": ["0badcafe"]}]', None),
        ('[flask-postgres:aside {"allowed": 0}]', None),
        ('[flask-postgres:aside {"state": "protected"}]', None),
        ('[flask-postgres:aside {"since": 2030}]', None),
    ],
)
def test_protection_fails_closed(comment: str, others: str | None) -> None:
    """On whatever line it stands, and by whatever version, or hand, it was written."""
    rest, mark = marks.split(comment)
    assert mark is not None
    assert (rest, mark.state) == (others, State.PROTECTED)


def test_how_it_reads() -> None:
    """People see it in psql; and older versions of this tool must be read by newer ones."""
    assert Mark(State.PROTECTED).under(None) == "[flask-postgres:protected {}]"
    mark = Mark(State.ASIDE, of="größe", token="5f0c9a1b", allowed=False)
    assert mark.under("mine") == (
        'mine\n[flask-postgres:aside {"of": "größe", "token": "5f0c9a1b", "allowed": false}]'
    )


@given(NAMES)
def test_names(dbname: str) -> None:
    token = marks.new_token()
    new, old = marks.name_for_new(dbname, token), marks.name_for_old(dbname, token)
    for name in (new, old):
        assert len(name.encode()) <= 63
        assert marks.is_ours(name)
        assert marks.may_be_of(name, dbname)
        assert name.endswith(token)
    assert new != old
    assert marks.is_new(new)
    assert not marks.is_new(old)


def test_names_of_others() -> None:
    for name in (
        "shop",
        "shop~new",
        "shop~new~0badcaf",
        "shop~NEW~0badcafe",
        "shop~new~0badcafe2",
        "~x~0badcafe",
    ):
        assert not marks.is_ours(name)
    assert not marks.may_be_of("shop~new~0badcafe", "sho")
    assert not marks.may_be_of("shop", "shop")


def test_tokens() -> None:
    assert len({marks.new_token() for _ in range(50)}) == 50
