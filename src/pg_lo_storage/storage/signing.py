"""URLs that carry the right to read one file, for a while.

The signature is Django's, by ``SECRET_KEY`` and its fallbacks. It is bound to the storage's ``base_url`` and database,
the tenant's schema where the backend has one, the name, the moment it expires, and whether the file is a download.
Where the storage serves rows of several databases, the URL of a file on another than the storage's own says which.
"""

import json
import re
import time
from datetime import timedelta
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from django.core.signing import BadSignature, Signer

from pg_lo_storage.databases.backends import schema_of

__all__ = ["PARAMETER", "Grant", "read_signature", "signed_url"]

PARAMETER: Final = "signature"
"""The query parameter."""

# Earlier releases signed URLs with this salt, so it stays, wherever this module moves.
_SALT: Final = "pg_lo_storage.signing"
_DISPOSITIONS: Final[dict[str, bool | None]] = {"": None, "a": True, "i": False}

_QUERY: Final = re.compile(rf"{PARAMETER}=([1-9][0-9]{{0,18}})\.([ai]?)\.([A-Za-z0-9_-]+)(?:\.([A-Za-z0-9_.~%-]+))?")


class Grant(NamedTuple):
    """What a valid signature says beside the name."""

    as_attachment: bool | None
    seconds_left: int
    row_alias: str | None = None
    """The database of the file, where the URL names one."""


def signed_url(
    url: str,
    name: str,
    *,
    base_url: str,
    alias: str,
    max_age: float | timedelta,
    as_attachment: bool | None = None,
    row_alias: str | None = None,
) -> str:
    """Return ``url``, which has no query, with a signature for the file that expires after ``max_age`` seconds.

    ``row_alias`` is the database of its row, where the storage's own is another: then the URL names it.

    It may expire earlier, by up to a tenth of ``max_age`` or a second: for so long a file's URLs are the same, and
    browsers can cache the file.

    :raises ValueError: ``max_age`` is not positive.
    """
    seconds = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
    if seconds <= 0:
        message = f"max_age={max_age!r} is in the past: give the seconds, or a timedelta, that a URL is to be valid for"
        raise ValueError(message)
    step = max(seconds / 10, 1)
    expires = int((time.time() + seconds) // step * step)
    disposition = next(letter for letter, value in _DISPOSITIONS.items() if value is as_attachment)
    _, _, signature = _signer().sign(_claim(name, base_url, alias, expires, disposition)).rpartition(":")
    named = f".{quote(row_alias, safe='')}" if row_alias else ""
    return f"{url}?{PARAMETER}={expires}.{disposition}.{signature}{named}"


def read_signature(query: str, name: str, *, base_url: str, alias: str) -> Grant | None:
    """Return what a URL's ``query`` grants for ``name``; ``None`` where its signature is invalid or has expired.

    The file is on the database that the URL names, or on ``alias``.

    The query must be exactly as :func:`signed_url` writes it, so that one right has one URL.
    """
    if (match := _QUERY.fullmatch(query)) is None:
        return None
    expires, disposition, signature = int(match[1]), match[2], match[3]
    row_alias = unquote(match[4]) if match[4] else None
    if row_alias is not None and quote(row_alias, safe="") != match[4]:
        return None
    try:
        _signer().unsign(f"{_claim(name, base_url, row_alias or alias, expires, disposition)}:{signature}")
    except BadSignature:
        return None
    left = expires - time.time()
    return Grant(_DISPOSITIONS[disposition], int(left), row_alias) if left > 0 else None


def _signer() -> Signer:
    return Signer(salt=_SALT)


def _claim(name: str, base_url: str, alias: str, expires: int, disposition: str) -> str:
    schema = schema_of(alias)
    return json.dumps([base_url, alias, name, expires, disposition, *([] if schema is None else [schema])])
