"""The place of a URI: its address on this machine, the data folder that belongs to it, and who is there."""

from __future__ import annotations

import dataclasses
import os
import shlex
from pathlib import Path

from ..errors import EmbeddedServerError
from ..uri import PostgresUri
from . import addresses as network
from . import files, location, process, system, target
from .process import Postmaster
from .target import Target


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A target with its addresses (none if it is a socket folder) and its data folder."""

    target: Target
    addresses: tuple[str, ...]
    folder: Path


class ServedElsewhere(EmbeddedServerError):
    """The data folder is in use, on another address than the URI's."""


class NotHere(EmbeddedServerError):
    """The host is not this machine alone."""


def find(uri: PostgresUri, *, data_dir: Path | None) -> Place:
    """Return the place of a URI.

    :raises EmbeddedServerError: if no embedded server can serve such a URI.
    """
    found = target.read(uri)
    if found.is_socket:
        return Place(found, (), location.data_folder(found, (), data_dir))
    addresses = network.resolve(found.host, found.port)
    if not addresses or not all(map(network.is_loopback, addresses)):
        means = ", ".join(addresses) or "no address"
        raise NotHere(
            f'The host "{found.host}" means {means}; the embedded server serves this machine alone.',
            remedy='Name localhost in the URI, or set server = "external".',
        )
    return Place(found, addresses, location.data_folder(found, addresses, data_dir))


def running(place: Place) -> Postmaster | None:
    """Return our server of a place, if it runs there.

    :raises ServedElsewhere: if the data folder is served, but on another address.
    """
    if not location.is_ours(place.folder):
        return None
    found = process.find(place.folder)
    if found is None or not found.ready:
        return found
    served = served_at(place.folder)
    if found.port != place.target.port or not _serves(place, served):
        where = " and ".join(served)
        raise ServedElsewhere(
            f"The data folder {place.folder} is in use by an embedded server on {where}, port {found.port}, "
            f"and the URI names {place.target}.",
            remedy="Stop that server (flask psql server stop, with its URI), or set another server_data_dir.",
        )
    return found


def served_at(folder: Path) -> tuple[str, ...]:
    """Return where the folder's server listens, or did last: addresses, or a socket folder."""
    found = files.read_json(folder / location.RUN).get("addresses")
    return tuple(map(str, found)) if isinstance(found, list) else ()


def listening(place: Place) -> bool:
    """Tell whether anything answers at a place."""
    if place.target.is_socket:
        return system.answers(Path(place.target.host), place.target.port)
    return any(network.listening(address, place.target.port) for address in place.addresses)


def check_free(place: Place) -> None:
    """Make sure that a server can be started at a place.

    :raises EmbeddedServerError: if an address is taken, or the socket folder is not this account's own.
    """
    if place.target.is_socket:
        _check_socket_folder(place)
    else:
        network.check_free(place.addresses, place.target.port)


def _serves(place: Place, served: tuple[str, ...]) -> bool:
    """Tell whether a server serves the URI, though perhaps not on each of its addresses.

    A server that was started for ``127.0.0.1`` also serves ``localhost``: clients try its addresses one
    after the other, so all is well as long as nobody else listens on the others.
    """
    if place.target.is_socket:
        return place.target.host in served
    others = set(place.addresses) - set(served)
    if others == set(place.addresses):
        return False
    for address in others:
        if network.listening(address, place.target.port):
            raise network.taken(address, place.target.port)
    return True


def _check_socket_folder(place: Place) -> None:
    folder = Path(place.target.host)
    if len(os.fsencode(folder)) > location.LONGEST_SOCKET_DIR:
        raise EmbeddedServerError(
            f"The path of the socket folder {folder} is too long for a Unix socket.",
            remedy=f"Name one of {location.LONGEST_SOCKET_DIR} bytes or fewer in the URI.",
        )
    if system.answers(folder, place.target.port):
        raise EmbeddedServerError(
            f"Another server answers on the socket in {folder}, port {place.target.port}.",
            remedy='Name another folder or port in the URI, or set server = "external" to use it.',
        )
    if not (folder.is_dir() and os.access(folder, os.W_OK) and _is_own(folder)):
        raise not_own(folder)


def not_own(folder: Path) -> EmbeddedServerError:
    """Return the error that says why a socket folder is not served, and the ways out."""
    if not folder.exists():
        return EmbeddedServerError(
            f"The folder {folder}, in which the URI wants a Unix socket, does not exist.",
            remedy=f"Make it (mkdir -p -m 700 {shlex.quote(str(folder))}), or name another in the URI.",
        )
    return EmbeddedServerError(
        f"Nothing answers on the Unix socket in {folder}, and the folder is not this account's own, "
        "so the embedded server does not serve it.",
        remedy=target.NO_HOST_HINT,
    )


def _is_own(folder: Path) -> bool:
    return os.name != "nt" and folder.stat().st_uid == os.geteuid()
