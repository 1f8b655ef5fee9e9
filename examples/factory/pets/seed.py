"""What a new database holds."""

from flask_postgres import init_db_callback

from .models import Owner, Pet


@init_db_callback
def init_db(db):
    db.create_all()
    db.session.add(Owner(name="Ada", pets=[Pet(name="Fido"), Pet(name="Tom")]))
    db.session.commit()
