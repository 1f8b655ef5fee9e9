"""An app whose code holds no PostgreSQL setting: ``flask_postgres.toml`` names everything.

Run ``flask --debug psql setup`` here, then ``flask run``. There is no callback either, so setup creates the
tables of the models.
"""

import os
import re
from pathlib import Path

import tomli
from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


def database_uri():
    """Return the URI that the tool uses, so that it stands in one place."""
    settings = tomli.loads(Path(__file__).with_name("flask_postgres.toml").read_text("utf-8"))
    variable = re.compile(r"\$\{(\w+):-(.*?)\}")
    return variable.sub(lambda found: os.environ.get(found[1], found[2]), settings["target_database_uri"])


app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = database_uri()
db = SQLAlchemy(app, model_class=Base)


class Book(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


@app.get("/")
def books():
    return [book.title for book in db.session.scalars(db.select(Book).order_by(Book.title))]


@app.post("/")
def add_book():
    book = Book(title=request.form["title"])
    db.session.add(book)
    db.session.commit()
    return {"id": book.id}, 201
