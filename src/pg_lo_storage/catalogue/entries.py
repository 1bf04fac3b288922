"""Whether there is a catalogue, and what is known of a file before it has an entry there."""

from dataclasses import dataclass

from django.apps import apps

from pg_lo_storage.names import MAX_OID

__all__ = ["Upload", "is_installed"]


def is_installed() -> bool:
    """Tell whether the project has the catalogue."""
    return apps.is_installed("pg_lo_storage")


@dataclass(frozen=True, slots=True)
class Upload:
    """What is known of a file before it has an oid.

    ``extension`` has its dot; ``None`` is any. A name longer than the field's ``max_length`` loses its extension.
    """

    extension: str | None
    original_name: str
    content_type: str
    max_length: int | None = None

    @property
    def most_digits(self) -> int | None:
        """The most digits of an oid with which the name keeps its extension; ``None`` where any number will do."""
        if not self.extension or self.max_length is None:
            return None
        digits = self.max_length - len(self.extension)
        return None if digits >= len(str(MAX_OID)) else digits
