"""The steps that plans are made of: each is data, and knows how to run itself and to undo itself."""

from .base import DISCARD, FILL, FINISH, MAKE, REPLACE, SWAP, Step
from .creating import CreateDatabase, MakeUnfinished, Publish, Rehearse
from .dropping import DropDatabase, RemoveLeftover
from .filling import CreateInside, Initialize, LoadApp
from .finishing import Finish, Protect, Unprotect
from .inside import DiscardInside, FinishInside, PutBackInside, SetAsideInside
from .recovering import PutBack, Reopen
from .replacing import CloseToOthers, Discard, Swap
from .roles import BorrowRole, CreateRole, GiveRoleBack
from .seeding import RunSeeds
from .snapshots import Shelve
from .undoing import Exchange

__all__ = [
    "DISCARD",
    "FILL",
    "FINISH",
    "MAKE",
    "REPLACE",
    "SWAP",
    "BorrowRole",
    "CloseToOthers",
    "CreateDatabase",
    "CreateInside",
    "CreateRole",
    "Discard",
    "DiscardInside",
    "DropDatabase",
    "Exchange",
    "Finish",
    "FinishInside",
    "GiveRoleBack",
    "Initialize",
    "LoadApp",
    "MakeUnfinished",
    "Protect",
    "Publish",
    "PutBack",
    "PutBackInside",
    "Rehearse",
    "RemoveLeftover",
    "Reopen",
    "RunSeeds",
    "SetAsideInside",
    "Shelve",
    "Step",
    "Swap",
    "Unprotect",
]
