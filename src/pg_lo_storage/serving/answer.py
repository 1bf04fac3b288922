"""What RFC 9110 answers to a request for a file, decided from data alone: no request, database or response."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from django.utils.http import http_date

from pg_lo_storage.catalogue import Entry, Found
from pg_lo_storage.catalogue.content_types import UNKNOWN
from pg_lo_storage.serving.conditions import CONDITIONAL, Validators, allows_range, evaluate, repr_digest
from pg_lo_storage.serving.presentation import Presentation
from pg_lo_storage.serving.ranges import Piece, coalesce, content_range, multipart, parse_ranges

__all__ = ["Answer", "Asked", "answer"]

# RFC 9110, 15.4.5.
_NOT_MODIFIED: Final = {"cache-control", "content-location", "etag", "expires", "last-modified", "vary"}


class Asked(NamedTuple):
    """What a request asks for: ``GET`` or ``HEAD`` of the file ``name``.

    ``headers`` has its names in lower case, or finds them in any case. ``used_session`` says that the project has
    looked at the session.
    """

    method: str
    headers: Mapping[str, str]
    name: str
    used_session: bool = False

    @property
    def needs_content(self) -> bool:
        """Whether the answer has the whole content, whatever file is found."""
        return self.method == "GET" and not any(map(self.headers.__contains__, CONDITIONAL))


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as data; its body is the ``pieces``, each of them bytes or the positions of the file's bytes."""

    status: int
    headers: dict[str, str]
    pieces: Sequence[Piece] = ()


def answer(asked: Asked, found: Found, presentation: Presentation) -> Answer:
    """Answer by the preconditions (section 13) first, then by the range (section 14)."""
    size, validators = found.size, Validators.of(found.entry)
    headers = _headers(asked, found.entry, validators, presentation)
    if (status := evaluate(asked.headers, validators)) is not None:
        return Answer(status, {header: value for header, value in headers.items() if header.lower() in _NOT_MODIFIED})
    wanted = None
    if asked.method == "GET" and "range" in asked.headers and allows_range(asked.headers, validators):
        wanted = parse_ranges(asked.headers["range"], size, presentation.max_ranges)
    if wanted is None:
        whole = [range(size)] if size and asked.method == "GET" else []
        return Answer(200, headers | {"Content-Length": str(size)}, whole)
    if not wanted:
        kept = {header: headers[header] for header in ("Accept-Ranges", "Cache-Control") if header in headers}
        return Answer(416, kept | {"Content-Range": f"bytes */{size}"})
    return _answer_in_part(coalesce(wanted), size, headers)


def _answer_in_part(wanted: list[range], size: int, headers: dict[str, str]) -> Answer:
    pieces: list[Piece] = [*wanted]
    if len(wanted) == 1:
        headers["Content-Range"] = content_range(wanted[0], size)
    else:
        headers["Content-Type"], pieces = multipart(wanted, size, headers.get("Content-Type", UNKNOWN))
    headers["Content-Length"] = str(sum(map(len, pieces)))
    return Answer(206, headers, pieces)


def _headers(asked: Asked, entry: Entry | None, validators: Validators, presentation: Presentation) -> dict[str, str]:
    """Return the headers of an answer with content."""
    headers = presentation.headers_of(asked.name, entry) | {"Accept-Ranges": "bytes"}
    if asked.used_session:
        headers["Vary"] = "Cookie"  # the session may have decided
    if validators.etag is not None:
        headers["ETag"] = validators.etag
    if validators.last_modified is not None:
        headers["Last-Modified"] = http_date(validators.last_modified)
    if (digest := repr_digest(asked.headers, entry)) is not None:
        headers["Repr-Digest"] = digest
    return presentation.changed(headers) if presentation.headers else headers
