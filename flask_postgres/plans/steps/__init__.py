"""The steps that plans are made of: each is data, and knows how to run itself and to undo itself."""

from .base import DISCARD, FILL, FINISH, MAKE, REPLACE, SWAP, Step, look_up
from .finishing import Finish, Protect
from .making import CreateDatabase, Initialize, InstallExtensions, MakeUnfinished, Publish, Rehearse
from .moving import put_back
from .removing import DropDatabase, RemoveLeftover
from .replacing import CloseToOthers, Discard, Swap

__all__ = [
    "DISCARD",
    "FILL",
    "FINISH",
    "MAKE",
    "REPLACE",
    "SWAP",
    "CloseToOthers",
    "CreateDatabase",
    "Discard",
    "DropDatabase",
    "Finish",
    "Initialize",
    "InstallExtensions",
    "MakeUnfinished",
    "Protect",
    "Publish",
    "Rehearse",
    "RemoveLeftover",
    "Step",
    "Swap",
    "look_up",
    "put_back",
]
