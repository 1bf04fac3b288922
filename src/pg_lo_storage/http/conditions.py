"""Conditional requests, of RFC 9110, section 13, and the digests of RFC 9530.

A request's ``headers`` have their names in lower case, or find them in any case, as Django's do.
"""

import base64
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, Self

from pg_lo_storage.http.facts import FileFacts
from pg_lo_storage.http.fields import entity_tags, parse_date

__all__ = ["CONDITIONAL", "HEARD", "Validators", "allows_range", "evaluate", "repr_digest"]

CONDITIONAL: Final = frozenset({"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "range"})
"""Request headers that may lead to another answer than the whole file."""

HEARD: Final = (*sorted(CONDITIONAL), "if-range", "want-repr-digest")
"""All request headers that an answer depends on."""

# Two transactions may write within one second and commit far apart: only after a while does a date tell them apart.
_SETTLED: Final = timedelta(minutes=1)
_WANTED: Final = re.compile(r"[ \t]*([a-z*][a-z0-9_.*-]*)=([0-9]{1,2})[ \t]*")


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one content of a file from another; ``last_modified`` is in seconds since 1970, in UTC.

    ``is_date_strong`` says that the date, too, stands for one content only: nothing was written since the save.
    """

    etag: str | None = None
    last_modified: int | None = None
    is_date_strong: bool = False

    @classmethod
    def of(cls, facts: FileFacts) -> Self:
        """Return the validators of a file."""
        moment = None if facts.modified is None else facts.modified.timestamp()
        etag = facts.sha256
        if etag is None and facts.version is not None:
            # After a restore transaction numbers may repeat: the tag has the time, too.
            time_of_change = "" if moment is None else f"{int(moment * 1_000_000):x}-"
            etag = f"{facts.oid}-{time_of_change}{facts.version}"
        least_age = 0 if facts.written_once else _SETTLED.total_seconds()
        date = int(moment) if moment is not None and moment <= time.time() - least_age else None
        return cls(None if etag is None else f'"{etag}"', date, facts.written_once and date is not None)


def evaluate(headers: Mapping[str, str], validators: Validators) -> Literal[304, 412] | None:
    """Return the status that the preconditions of a GET or HEAD request lead to, ``None`` to go on."""
    last_modified = validators.last_modified
    if (if_match := headers.get("if-match")) is not None:
        if not _is_listed(if_match, validators.etag):
            return 412
    elif last_modified is not None and (date := headers.get("if-unmodified-since")) is not None:
        limit = parse_date(date)
        if limit is not None and last_modified > limit:
            return 412
    if (if_none_match := headers.get("if-none-match")) is not None:
        if _is_listed(if_none_match, validators.etag, weakly=True):
            return 304
    elif last_modified is not None and (date := headers.get("if-modified-since")) is not None:
        limit = parse_date(date)
        if limit is not None and last_modified <= limit:
            return 304
    return None


def allows_range(headers: Mapping[str, str], validators: Validators) -> bool:
    """Tell whether a ``Range`` counts: there is no ``If-Range``, or it names exactly the present content."""
    if (validator := headers.get("if-range")) is None:
        return True
    validator = validator.strip(" \t")
    if validator.endswith('"'):
        return validator == validators.etag
    # An unparsable date matches nothing.
    date = parse_date(validator)
    return date is not None and validators.is_date_strong and date == validators.last_modified


def repr_digest(wanted: str, sha256: str) -> dict[str, str]:
    """Return the header ``Repr-Digest``, where the value of ``Want-Repr-Digest`` asks for SHA-256."""
    members = [_WANTED.fullmatch(member) for member in wanted.split(",")]
    # A structured field with a mistake is ignored as a whole (RFC 9651, 4.2); of equal keys the last counts.
    preferences = {match[1]: int(match[2]) for match in members if match}
    if None in members or not 1 <= preferences.get("sha-256", 0) <= 10:
        return {}
    return {"Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"}


def _is_listed(header: str, etag: str | None, *, weakly: bool = False) -> bool:
    if header.strip(" \t") == "*":
        return True
    return any(etag == (tag.removeprefix("W/") if weakly else tag) for tag in entity_tags(header))
