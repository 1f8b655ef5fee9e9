"""Runs SQL for the benchmarks, in a process of its own, which keeps the measuring process small.

It reads one JSON array a line, ``[database, statement]``, and answers with the rows as JSON.
"""

from __future__ import annotations

import json
import sys

import psycopg


def main() -> None:
    server = sys.argv[1]
    for line in sys.stdin:
        dbname, statement = json.loads(line)
        with psycopg.connect(f"{server}/{dbname}", autocommit=True) as connection:
            cursor = connection.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
        print(json.dumps(rows, default=str), flush=True)


if __name__ == "__main__":
    main()
