"""Signals: https://docs.djangoproject.com/en/stable/topics/signals/."""

from functools import partial

from django.db import transaction
from django.dispatch import Signal

__all__ = ["file_unlinked"]

file_unlinked: Signal = Signal()
"""Sent once the transaction that unlinked a file is committed, so that others can drop what they made of the file.

``name`` is the stored name; ``alias`` is the database that the file was on; ``entry`` is what the catalogue said of it,
an :class:`~pg_lo_storage.storage.Entry`, or ``None`` without a catalogue; ``sender`` is ``None``. What a receiver
raises is logged. Triggers in the database, and other programs, send nothing.
"""


def announce_unlinked(alias: str, name: str, entry: object) -> None:
    """Send :data:`file_unlinked` once the current transaction on ``alias`` is committed."""
    send = partial(file_unlinked.send_robust, None, alias=alias, name=name, entry=entry)
    transaction.on_commit(send, using=alias, robust=True)
