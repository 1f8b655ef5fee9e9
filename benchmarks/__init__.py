"""The speed table: Flask-Postgres against its predecessor, bare Flask, and the least that could be done."""
