"""A package with an application factory."""

from flask import Flask

from . import seed, views  # noqa: F401 - importing the seed registers its callback
from .models import db


def create_app(config=None):
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql://localhost:5432/pets"
    app.config.update(config or {})
    db.init_app(app)
    app.register_blueprint(views.pets)
    return app
