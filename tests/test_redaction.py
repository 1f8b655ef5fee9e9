"""Secrets leave every text, in every spelling, and leave the words around them alone."""

from __future__ import annotations

import base64
import json
import re
import typing as t
from urllib.parse import quote, quote_plus

import pytest
import sqlalchemy as sa
from hypothesis import assume, example, given
from hypothesis import strategies as st

from flask_postgres.redaction import SHORT, WORDS, Redactor


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
        ("twice p@ss w/rd:1p@ss w/rd:1", "twice ******"),
        ("nothing", "nothing"),
    ],
)
def test_every_spelling(text: str, expected: str) -> None:
    assert hide(text, "p@ss w/rd:1") == expected


def in_sqlalchemy(secret: str) -> str:
    return sa.URL.create("postgresql", "u", secret, "h").render_as_string(hide_password=False)


SPELLINGS: dict[str, t.Callable[[str], str]] = {
    "raw": str,
    "repr": repr,
    "ascii": ascii,
    "in a list": lambda secret: str([secret, '"']),
    "json": json.dumps,
    "json in utf-8": lambda secret: json.dumps(secret, ensure_ascii=False),
    "sqlalchemy": in_sqlalchemy,
    "quote": quote,
    "quote all": lambda secret: quote(secret, safe=""),
    "quote plus": quote_plus,
    "doubled for a format": lambda secret: in_sqlalchemy(secret).replace("%", "%%"),
    "raw, doubled": lambda secret: secret.replace("%", "%%"),
    "small digits": lambda secret: "".join(f"%{byte:02x}" for byte in secret.encode()),
    "on one line": lambda secret: " ".join(secret.split()),
    "percent-encoded twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "SQL": lambda secret: secret.replace("'", "''"),
    "repr of bytes": lambda secret: repr(secret.encode()),
    "hex": lambda secret: secret.encode().hex(),
    "HEX": lambda secret: secret.encode().hex().upper(),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "upper case": str.upper,
    "lower case": str.lower,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    "secret",
    [
        "aB+c/d1==",
        "p@ss w/rd",
        "two  blanks",
        "new\nline",
        "back\\slash",
        'it\'s "it"',
        "gr\N{LATIN SMALL LETTER O WITH DIAERESIS}\N{CYRILLIC SMALL LETTER ZHE}e€𝄞",
        "50%off!",
        "%%%20%",
    ],
)
def test_secret_is_found_however_it_is_written(secret: str, spelling: str) -> None:
    written = SPELLINGS[spelling](secret)
    shown = hide(f"<{written}>", secret)
    quoted = ("'***'", '"***"', "b'***'", 'b"***"')
    assert shown in {f"<{text}>" for text in ("***", *quoted, "postgresql://u:***@h", "['***', '\"']")}


def basic(user: str, secret: str) -> str:
    return base64.b64encode(f"{user}:{secret}".encode()).decode()


@pytest.mark.parametrize("user", ["", "u", "me", "you", "admin"])
@pytest.mark.parametrize("secret", ["s3cret", "aB+c/d1==", "größe€𝄞", "????>>>>"])
def test_secret_is_found_in_basic_authentication(user: str, secret: str) -> None:
    """Of its first byte at most some bits stay: those that share a character with what is before it."""
    for written in (basic(user, secret), basic(user, secret).translate(str.maketrans("+/", "-_"))):
        shown = hide(f"Authorization: Basic {written}, and so on", secret)
        assert re.fullmatch(r"Authorization: Basic \S*\*\*\*, and so on", shown)
        left = shown.removeprefix("Authorization: Basic ").partition("***")[0]
        assert len(left) * 6 <= len(f"{user}:".encode()) * 8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no postgresql://u:pw@h/x, no mysql://v:qw@h", "no postgresql://u:***@h/x, no mysql://v:***@h"),
        ("'postgres//u:hunter2@h/db'", "'postgres//u:***@h/db'"),
        ("'redis://:p@ss@h'", "'redis://:***@h'"),
        ("postgresql://u:***@h?a=b@c", "postgresql://u:***@h?a=b@c"),
        ("postgresql://u:***@h/x, postgresql://u@h:5/x", "postgresql://u:***@h/x, postgresql://u@h:5/x"),
        (
            "'postgresql:///x?password=pw&a=1', x?a=1&sslpassword=qw",
            "'postgresql:///x?password=***&a=1', x?a=1&sslpassword=***",
        ),
        ("PASSWORD = 'a b' x, oauth_client_secret=c", "PASSWORD = *** x, oauth_client_secret=***"),
        ("password='it\\'s' password='a b", "password=*** password=*** b"),
        ("http://h:80/ http://h/ x:y@z", "http://h:80/ http://h/ x:y@z"),
        ("postgresql://user:password@localhost/x", "postgresql://user:password@localhost/x"),
    ],
)
def test_password_in_a_uri_that_nobody_told(text: str, expected: str) -> None:
    assert hide(text) == expected


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
    assert hide("pets petsx xpets pet pets9", "pets") == "*** petsx xpets pet pets9"
    assert hide("petss petssx xpetss", "petss") == "*** ***x x***"


def test_nothing_is_no_secret() -> None:
    redactor = Redactor()
    redactor.add([None, "", " "])
    assert redactor("a text") == "a text"


letters = st.characters(exclude_categories=["Cs"], exclude_characters="*\0")
secrets = st.text(letters | st.sampled_from("'\"\\%+/ \n@:é€"), min_size=5, max_size=20).filter(
    lambda text: len(text.strip()) >= SHORT and not any(text.strip().lower() in word for word in WORDS)
)


@given(
    secret=secrets,
    spelling=st.sampled_from(sorted(SPELLINGS)),
    before=st.text(letters),
    after=st.text(letters),
)
@example(secret="%%%%%%%%%%", spelling="percent-encoded twice", before="%" * 40, after="%" * 40)
def test_no_spelling_of_any_secret_is_left(secret: str, spelling: str, before: str, after: str) -> None:
    if spelling in ("upper case", "lower case"):  # ß has two capitals: those of a letter with one are found
        assume(re.fullmatch(re.escape(secret), SPELLINGS[spelling](secret), re.IGNORECASE))
    written = SPELLINGS[spelling](secret)
    shown = hide(f"{before} <{written}> {after}", secret)
    assert written not in shown.replace("***", "\0")
    assert "***" in shown


@given(secret=secrets, user=st.text(letters))
def test_no_secret_is_left_in_basic_authentication(secret: str, user: str) -> None:
    shown = hide(f" {basic(user, secret)} ", secret)
    assert base64.b64encode(secret.strip().encode()).decode().rstrip("=")[:-1] not in shown
    assert "***" in shown


@pytest.mark.parametrize("secret", ["password", "server", "role", "wrong"])
def test_a_password_that_is_a_word_of_our_own(secret: str) -> None:
    """Masked in our sentences it would be told by them."""
    said = "the server at h:1 refuses the user: wrong password, or no such role."
    assert hide(said, secret) == said
    if secret != "password":  # which our hints write there
        assert hide(f"postgresql://u:{secret}@h/db", secret) == "postgresql://u:***@h/db"
