"""Databases for tests: what the pytest plugin gives to a test, and what keeps it off the app's own."""
