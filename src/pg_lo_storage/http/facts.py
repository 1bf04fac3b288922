"""What is to be known of a file before it can be served."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

__all__ = ["FileFacts"]

_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")
# What an entity tag may have, but for the comma: lists of tags are separated by it.
_VERSION: Final = re.compile(r"[!#-+\--~]+")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A large object as a file, as it is at one moment.

    ``size`` is in bytes. ``name`` is shown to users, and may be any text. ``content_type`` may come from an uploader:
    one that is not well formed is taken for unknown; ``None`` asks the extension of ``name``. The entity tag is
    ``sha256``, in hexadecimal, else it is made of ``oid``, ``modified`` and ``version``, a text that tells this content
    from any other that the object has had or will have; without both there is none, and no condition matches.
    ``modified`` has a time zone. ``written_once`` says that nothing was written since the file was saved whole: only
    then may a second of ``modified`` stand for one content. ``catalogue`` is the table in which the catalogue has
    this ``version`` of the file, as :func:`find_catalogued` finds it: what is read is then of this version, or nothing.

    :raises ValueError: ``sha256`` is no SHA-256, ``version`` cannot stand in an entity tag, ``size`` is negative, or
        ``modified`` has no time zone.
    """

    __module__ = "pg_lo_storage.http"

    oid: int
    size: int
    name: str = ""
    content_type: str | None = None
    sha256: str | None = None
    version: str | None = None
    modified: datetime | None = None
    written_once: bool = False
    catalogue: LiteralString | None = None

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"a file has no {self.size} bytes")
        if self.sha256 is not None and not _DIGEST.fullmatch(self.sha256):
            raise ValueError(f"{self.sha256!r} is no SHA-256 in hexadecimal")
        if self.version is not None and not _VERSION.fullmatch(self.version):
            raise ValueError(
                f"{self.version!r} cannot stand in an entity tag: use ASCII without quotes, commas, spaces"
            )
        if self.modified is not None and self.modified.tzinfo is None:
            raise ValueError("modified has no time zone")
