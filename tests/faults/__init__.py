"""Faults of every kind, at every step of every plan.

By default a part of the matrix runs, chosen so that every point of every plan and every cause occur.
All of it::

    FLASK_POSTGRES_MATRIX=full python -m pytest tests/faults

and as often as you like, with two hundred processes at once::

    python -m tests.faults.soak --rounds 2
"""
