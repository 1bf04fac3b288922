"""The subcommands of ``manage.py largeobjects``, a file each."""

from typing import Final

from pg_lo_storage.management.subcommand import Subcommand
from pg_lo_storage.management.subcommands.adopt import Adopt
from pg_lo_storage.management.subcommands.detach import Detach
from pg_lo_storage.management.subcommands.empty import Empty
from pg_lo_storage.management.subcommands.transfer import Transfer

__all__ = ["SUBCOMMANDS"]

SUBCOMMANDS: Final[dict[str, Subcommand]] = {
    "adopt": Adopt(),
    "transfer": Transfer(),
    "detach": Detach(),
    "empty": Empty(),
}
"""By name, in the order in which the help shows them."""
