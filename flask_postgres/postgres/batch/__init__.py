"""``create_all`` in one flight: ask what exists, compile what is missing, send it in one transaction.

``create`` is the way through; ``listeners`` finds what an app has hung on its metadata; ``existing`` asks
the server; ``collect`` lets SQLAlchemy's own ``create_all`` run against a connection that only takes notes;
``send`` sends the notes; ``fallback`` is SQLAlchemy's own ``create_all``, for whatever the rest cannot do.
"""

from __future__ import annotations

from .create import BatchReport, create_tables

__all__ = ["BatchReport", "create_tables"]
