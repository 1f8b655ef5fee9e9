"""What a server can do: decided here alone, from its version text and its catalogues.

PostgreSQL-compatible engines answer the same protocol but lack some of what safety is built on.
Whoever builds a plan asks this value, and never the version.
"""

from __future__ import annotations

import dataclasses
import re

MINIMUM_VERSION = 130000
LARGE = 200 << 20
"""The size in bytes above which a template is copied file by file."""


@dataclasses.dataclass(frozen=True, slots=True)
class Capabilities:
    """What one server, and one database of it, can do.

    :param product: the name of the engine: ``PostgreSQL``, ``Citus``, ``YugabyteDB``…
    :param version: as ``server_version_num`` gives it, such as 180001; 0 when it is not told.
    :param rename: whether a database can be renamed with all that is in it.
    :param force: whether ``DROP DATABASE … WITH (FORCE)`` is understood.
    :param templates: whether ``CREATE DATABASE … TEMPLATE`` takes another than the default.
    :param transactional_ddl: whether several ``ALTER DATABASE`` are undone together.
    :param reason: why something of it is lacking, for the user.
    """

    product: str = "PostgreSQL"
    version: int = 0
    rename: bool = True
    force: bool = True
    templates: bool = True
    transactional_ddl: bool = True
    reason: str | None = None
    refused: str | None = None
    """Why nothing can be done on it, whatever its version."""

    @property
    def swap(self) -> bool:
        """Whether reset can put a new database in the place of the old one, all or nothing."""
        return self.rename and self.transactional_ddl

    def strategy(self, size: int | None) -> str | None:
        """Return how ``CREATE DATABASE`` copies a template of so many bytes; None leaves it to the server.

        Writing the copy to the WAL, as PostgreSQL 15 and later do by themselves, needs no checkpoint; from
        some 200 MB on, copying files takes less time than writing them twice.
        """
        large = size is not None and size > LARGE
        return "FILE_COPY" if large and self.templates and self.version >= 150000 else None

    @property
    def supported(self) -> bool:
        """Whether this tool can work with the server at all."""
        return not self.refused and (self.version == 0 or self.version >= MINIMUM_VERSION)


def from_answers(version_text: str, version_num: int, *, citus_nodes: int | None = 0) -> Capabilities:
    """Decide from what the server says of itself.

    :param version_text: the answer of ``SELECT version()``.
    :param version_num: ``server_version_num``; engines that imitate PostgreSQL answer one too.
    :param citus_nodes: how many worker nodes the target database knows; 0 when it has no Citus, None when
        it cannot be asked.
    """
    refused = why_refused(version_text)
    if refused is not None:
        return Capabilities(product="CockroachDB", version=version_num, refused=refused)
    if "-YB-" in version_text or "Yugabyte" in version_text:
        return Capabilities(
            product="YugabyteDB",
            version=version_num,
            templates=False,
            transactional_ddl=False,
            reason="YugabyteDB does not undo several changes to databases together",
        )
    if citus_nodes or citus_nodes is None:
        return Capabilities(
            product="Citus",
            version=version_num,
            rename=False,
            reason=f"{citus_nodes or 'perhaps'} Citus worker nodes look this database up by its name",
        )
    return Capabilities(version=version_num)


def why_refused(version_text: str) -> str | None:
    """Return why nothing can be done on a server that says this of itself; None where something can."""
    if "CockroachDB" not in version_text:
        return None
    found = re.search(r"CockroachDB\D*v?(\d+\.\d+(?:\.\d+)?)", version_text)
    version = f" {found[1]}" if found else ""
    return (
        f"the server is CockroachDB{version}, which this tool does not support: it does not tell who is "
        "connected to a database, so that one in use would be dropped."
    )
