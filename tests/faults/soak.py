"""Run all fault tests, the whole matrix and two hundred racers, again and again: the soak.

::

    python -m tests.faults.soak --rounds 2
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys


def main() -> int:
    """Run every round; stop at the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--racers", type=int, default=200)
    parser.add_argument("--processes", default="2", help="how many test processes, each with a server")
    options = parser.parse_args()
    env = {**os.environ, "FLASK_POSTGRES_MATRIX": "full", "FLASK_POSTGRES_RACERS": str(options.racers)}
    command = [sys.executable, "-m", "pytest", "tests/faults", "tests/plans", "-q", "-n", options.processes]
    for number in range(1, options.rounds + 1):
        print(f"round {number} of {options.rounds}", flush=True)
        if code := subprocess.run(command, env=env, check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
