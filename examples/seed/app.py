"""The smallest app that fills its own database.

Run ``flask psql setup`` here, then ``flask run``.
"""

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Mapped, mapped_column

from flask_postgres import init_db_callback

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql://localhost:5432/example"
db = SQLAlchemy(app)


class Pet(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@init_db_callback
def init_db(app, db):
    db.create_all()
    db.session.add(Pet(name="Fido"))
    db.session.commit()


@app.get("/")
def pets():
    return [{"id": pet.id, "name": pet.name} for pet in db.session.scalars(db.select(Pet))]
