"""The apps of the matrix: one for each way in which apps declare their database."""

from __future__ import annotations

import textwrap

LEGACY = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = {uri!r}
    db = SQLAlchemy(app)

    class Pet(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.Text)
"""

DECLARATIVE = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    db = SQLAlchemy(model_class=Base)

    class Pet(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = {uri!r}
    db.init_app(app)
"""

LITE = """
    from flask import Flask
    from flask_sqlalchemy_lite import SQLAlchemy
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class Pet(Base):
        __tablename__ = "pet"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str | None]

    app = Flask(__name__)
    app.config["SQLALCHEMY_ENGINES"] = {{"default": {uri!r}}}
    app.config["FLASK_POSTGRES_METADATA"] = "app:Base"
    db = SQLAlchemy(app)
"""

LITE_ASYNC = LITE.replace("SQLALCHEMY_ENGINES", "SQLALCHEMY_ASYNC_ENGINES")

MODELS_OF = {
    "Flask-SQLAlchemy, Model": LEGACY,
    "Flask-SQLAlchemy, DeclarativeBase": DECLARATIVE,
    "Lite": LITE,
    "Lite, async": LITE_ASYNC,
}


def with_callback(app: str, *lines: str) -> str:
    """Return an app with an init callback of these lines."""
    body = "\n".join(f"    {line}" for line in lines)
    registered = "\nfrom flask_postgres import init_db_callback\n\n@init_db_callback\ndef seed(app, db):\n"
    return textwrap.dedent(app) + registered + body + "\n"
