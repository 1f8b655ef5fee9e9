"""Tables of settings that editors and linters must accept or refuse, each with the words of the refusal."""

from __future__ import annotations

import re

from flask_postgres.settings import generate

GOOD = {
    "the example": generate.example_text(),
    "the example, with everything set": re.sub(r"(?m)^#(\w+ = |\[)", r"\1", generate.example_text()),
    "what only the environment knows": 'target_database_uri = "${DATABASE_URL}"\ninit_with = "${INIT:-auto}"',
}

BAD = {
    "a misspelt key": ('ownr = "me"\n', "ownr"),
    "a wrong type": ('connection_limit = "fifty"\n', "connection_limit"),
    "a list of numbers": ("extensions = [1]\n", "extensions"),
    "no such choice": ('init_with = "nothing"\n', "init_with"),
    "out of range": ("connect_timeout = 0\n", "connect_timeout"),
    "another database": ('target_database_uri = "sqlite:///x"\n', "target_database_uri"),
}
"""The name of each fault, the text, and the key that the complaint has to point at."""
