"""How PostgreSQL is spoken to: statements, sessions, facts, and what its errors mean."""
