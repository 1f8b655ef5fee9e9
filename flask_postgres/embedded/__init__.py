"""The embedded PostgreSQL: a server for people who have none, on the address their URI names.

A reader starts at ``service`` (what can be asked of it), then ``cluster`` (how a server is made, started
and stopped) and ``process`` (how it is told whether one runs).
"""
