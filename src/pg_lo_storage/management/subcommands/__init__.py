"""The subcommands of ``manage.py largeobjects``, a file each."""

from typing import Final

from pg_lo_storage.management.subcommand import Subcommand
from pg_lo_storage.management.subcommands.adopt import Adopt
from pg_lo_storage.management.subcommands.check import Check
from pg_lo_storage.management.subcommands.detach import Detach
from pg_lo_storage.management.subcommands.empty import Empty
from pg_lo_storage.management.subcommands.erase import Erase
from pg_lo_storage.management.subcommands.grant import Grant
from pg_lo_storage.management.subcommands.ls import Ls
from pg_lo_storage.management.subcommands.move import Move
from pg_lo_storage.management.subcommands.prune import Prune
from pg_lo_storage.management.subcommands.repair import Repair
from pg_lo_storage.management.subcommands.restore_check import RestoreCheck
from pg_lo_storage.management.subcommands.stats import Stats
from pg_lo_storage.management.subcommands.top import Top
from pg_lo_storage.management.subcommands.transfer import Transfer
from pg_lo_storage.management.subcommands.who import Who

__all__ = ["SUBCOMMANDS"]

SUBCOMMANDS: Final[dict[str, Subcommand]] = {
    "check": Check(),
    "repair": Repair(),
    "prune": Prune(),
    "adopt": Adopt(),
    "transfer": Transfer(),
    "move": Move(),
    "detach": Detach(),
    "empty": Empty(),
    "stats": Stats(),
    "top": Top(),
    "who": Who(),
    "ls": Ls(),
    "grant": Grant(),
    "erase": Erase(),
    "restore-check": RestoreCheck(),
}
"""By name, in the order in which the help shows them."""
