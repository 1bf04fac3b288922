"""What RFC 9110 answers to a request for a file, decided from data alone: no request, database or response."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final

from pg_lo_storage.content_types import UNKNOWN
from pg_lo_storage.http.conditions import Validators, allows_range, evaluate, repr_digest
from pg_lo_storage.http.facts import FileFacts
from pg_lo_storage.http.presentation import NO_STORE, Presentation
from pg_lo_storage.http.ranges import Piece, coalesce, content_range, multipart, parse_ranges

__all__ = ["Answer", "answer"]

_AS_IS: Final = Presentation()
# RFC 9110, 15.4.5.
_NOT_MODIFIED: Final = {"cache-control", "content-location", "etag", "expires", "last-modified", "vary"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as data; its body is the ``pieces``, each of them bytes or the positions of the file's bytes."""

    __module__ = "pg_lo_storage.http"

    status: int
    headers: dict[str, str] = field(default_factory=dict[str, str])
    pieces: Sequence[Piece] = ()


def answer(
    method: str,
    headers: Mapping[str, str],
    facts: FileFacts,
    presentation: Presentation = _AS_IS,
    *,
    vary: str | None = None,
) -> Answer:
    """Answer a ``GET`` or ``HEAD`` by the preconditions (section 13) first, then by the range (section 14).

    ``headers`` are the request's, in any case; of a header that came several times the values are joined by ``", "``.
    ``vary`` names those of them that decided who may read the file, such as ``"Cookie"``. Any other method gets 405.
    """
    if method not in {"GET", "HEAD"}:
        return Answer(405, {"Allow": "GET, HEAD", "Content-Length": "0"} | NO_STORE)
    asked = dict(zip(map(str.lower, headers.keys()), headers.values(), strict=True))
    validators = Validators.of(facts)
    made = _headers(asked, facts, validators, presentation, vary)
    if (status := evaluate(asked, validators)) is not None:
        return Answer(status, {header: value for header, value in made.items() if header.lower() in _NOT_MODIFIED})
    wanted = None
    if method == "GET" and "range" in asked and allows_range(asked, validators):
        wanted = parse_ranges(asked["range"], facts.size, presentation.max_ranges)
    if wanted is None:
        whole = [range(facts.size)] if facts.size and method == "GET" else []
        return Answer(200, made | {"Content-Length": str(facts.size)}, whole)
    if not wanted:
        kept = {header: made[header] for header in ("Accept-Ranges", "Cache-Control") if header in made}
        return Answer(416, kept | {"Content-Range": f"bytes */{facts.size}"})
    return _answer_in_part(coalesce(wanted), facts.size, made)


def _answer_in_part(wanted: list[range], size: int, headers: dict[str, str]) -> Answer:
    pieces: list[Piece] = [*wanted]
    if len(wanted) == 1:
        headers["Content-Range"] = content_range(wanted[0], size)
    else:
        headers["Content-Type"], pieces = multipart(wanted, size, headers.get("Content-Type", UNKNOWN))
    headers["Content-Length"] = str(sum(map(len, pieces)))
    return Answer(206, headers, pieces)


def _headers(
    asked: Mapping[str, str], facts: FileFacts, validators: Validators, presentation: Presentation, vary: str | None
) -> dict[str, str]:
    """Return the headers of an answer with content."""
    headers = presentation.headers_of(facts) | {"Accept-Ranges": "bytes"}
    if vary is not None:
        headers["Vary"] = vary
    if validators.etag is not None:
        headers["ETag"] = validators.etag
    if validators.last_modified is not None:
        headers["Last-Modified"] = formatdate(validators.last_modified, usegmt=True)
    if facts.sha256 is not None and (wanted := asked.get("want-repr-digest")) is not None:
        headers |= repr_digest(wanted, facts.sha256)
    return presentation.changed(headers) if presentation.headers else headers
