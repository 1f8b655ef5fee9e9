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

        class Pet(db.Model):
            __tablename__ = f"pet_{number}"
            id = db.Column(db.Integer, primary_key=True)
            name = db.Column(db.Text)
"""


def empty_app(folder: pathlib.Path) -> pathlib.Path:
    """Write an app without a database, and return its folder."""
    return _write(folder / "empty", _EMPTY)


def app_of_tables(folder: pathlib.Path) -> pathlib.Path:
    """Write an app with as many tables as ``TABLES`` says, in the database of ``DATABASE_URL``."""
    return _write(folder / "tables", _TABLES)


def statements(folder: pathlib.Path, tables: int) -> pathlib.Path:
    """Write the statements that make the same tables, and return the file."""
    path = folder / f"{tables}.sql"
    path.write_text(
        "".join(
            f"CREATE TABLE pet_{number} (id SERIAL NOT NULL, name TEXT, PRIMARY KEY (id));\n"
            for number in range(tables)
        )
    )
    return path


def _write(folder: pathlib.Path, text: str) -> pathlib.Path:
    folder.mkdir()
    (folder / ".git").mkdir()  # settings are not looked for above
    (folder / "app.py").write_text(textwrap.dedent(text))
    return folder
