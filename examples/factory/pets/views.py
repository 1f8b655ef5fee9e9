"""The pages."""

from flask import Blueprint

from .models import Pet, db

pets = Blueprint("pets", __name__)


@pets.get("/")
def index():
    found = db.session.scalars(db.select(Pet).order_by(Pet.name))
    return [{"name": pet.name, "owner": pet.owner.name} for pet in found]
