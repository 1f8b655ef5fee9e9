"""The least that could be done: a script without Flask and SQLAlchemy, over the same driver.

    floor.py DRIVER COMMAND URI [FILE]

FILE holds the statements that make the tables; they are sent at once. ``init``, which finds all of them
there, asks which there are. Nothing is checked, locked, confirmed or undone.
"""

from __future__ import annotations

import importlib
import pathlib
import sys
import typing as t


def main() -> None:
    driver, command, uri, *files = sys.argv[1:]
    server, _, dbname = uri.rpartition("/")
    if command == "init":
        _send(driver, uri, "SELECT relname FROM pg_class WHERE relkind = 'r'")
        return
    drop = [f"DROP DATABASE {dbname}"] if command == "reset" else []
    _send(driver, f"{server}/postgres", *drop, f"CREATE DATABASE {dbname}")
    if files:
        _send(driver, uri, pathlib.Path(files[0]).read_text())


def _send(driver: str, uri: str, *statements: str) -> None:
    module: t.Any = importlib.import_module(driver)
    connection = module.connect(uri)
    connection.autocommit = True
    for statement in statements:
        connection.cursor().execute(statement)
    connection.close()


if __name__ == "__main__":
    main()
