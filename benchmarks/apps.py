"""The apps that the contenders run: the same files for all of them."""

from __future__ import annotations

import pathlib
import textwrap

_EMPTY = """
    from flask import Flask

    app = Flask(__name__)
"""

_TABLES = """
    import os

    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    db = SQLAlchemy(app)

    for number in range(int(os.environ["TABLES"])):
        db.Table(
            f"pet_{number}",
            db.Column("id", db.Integer, primary_key=True),
            db.Column("name", db.Text, index=True),
            db.Column("parent_id", db.ForeignKey(f"pet_{max(0, number - 1)}.id")),
        )
"""

_STATEMENTS = """
    CREATE TABLE pet_{number} (
        id SERIAL NOT NULL, name TEXT, parent_id INTEGER, PRIMARY KEY (id),
        FOREIGN KEY (parent_id) REFERENCES pet_{parent} (id)
    );
    CREATE INDEX ix_pet_{number}_name ON pet_{number} (name);
"""


def empty_app(folder: pathlib.Path) -> pathlib.Path:
    """Write an app without a database, and return its folder."""
    return _write(folder / "empty", _EMPTY)


def app_of_tables(folder: pathlib.Path, name: str = "tables") -> pathlib.Path:
    """Write an app with as many tables as ``TABLES`` says, in the database of ``DATABASE_URL``.

    Each has an index and a foreign key, as most tables have.
    """
    return _write(folder / name, _TABLES)


def statements(folder: pathlib.Path, tables: int) -> pathlib.Path:
    """Write the statements that make the same tables, and return the file."""
    path = folder / f"{tables}.sql"
    made = (_STATEMENTS.format(number=number, parent=max(0, number - 1)) for number in range(tables))
    path.write_text("".join(made))
    return path


def _write(folder: pathlib.Path, text: str) -> pathlib.Path:
    folder.mkdir()
    (folder / ".git").mkdir()  # settings are not looked for above
    (folder / "app.py").write_text(textwrap.dedent(text))
    return folder
