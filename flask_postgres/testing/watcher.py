"""Wait for the end of the last process of a run of tests, and end its server."""

from __future__ import annotations

import fcntl
import sys

from . import server
from .shared import Shared


def main(name: str) -> None:
    shared = Shared(name)
    while (shared.folder / "in-use").exists():
        with (shared.folder / "in-use").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
        with shared.alone():
            if not shared.folder.exists():  # it was ended
                shared.forget()
                return
            shared.join()
            if shared.leave():
                server.end(shared)
                return


if __name__ == "__main__":
    main(sys.argv[1])
