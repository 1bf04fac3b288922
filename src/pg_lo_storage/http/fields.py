"""The header fields of RFC 9110 that need more than a look: dates, lists of entity tags, and a file's name."""

import re
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

__all__ = ["content_disposition", "entity_tags", "parse_date"]

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME: Final = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# Section 5.6.7: what is sent today, what RFC 850 had, and what C's asctime() gives.
_DATES: Final = (
    re.compile(rf"\w{{3}}, (?P<day>[0-9]{{2}}) (?P<month>\w{{3}}) (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"\w{{6,9}}, (?P<day>[0-9]{{2}})-(?P<month>\w{{3}})-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"\w{{3}} (?P<month>\w{{3}}) (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)
_TAG: Final = re.compile(r'(?:W/)?"[^"]*"')
_QUOTABLE: Final = re.compile(r"[\t\x20-\x7e]*")


def parse_date(text: str) -> int | None:
    """Return the moment of a date in any of the three forms, in seconds since 1970; ``None`` if it is none of them."""
    match = next(filter(None, (form.fullmatch(text) for form in _DATES)), None)
    if match is None or match["month"].lower() not in _MONTHS:
        return None
    month = _MONTHS.index(match["month"].lower()) + 1
    day, hour, minute, second = (int(match[name]) for name in ("day", "hour", "minute", "second"))
    try:
        moment = datetime(_year(int(match["year"])), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:  # no such day, or hour
        return None
    return int(moment.timestamp())


def _year(year: int) -> int:
    if year >= 100:
        return year
    now = datetime.now(UTC).year
    century = now - now % 100
    # What seems to be more than 50 years in the future was in the past.
    return year + (century if year - now % 100 <= 50 else century - 100)


def entity_tags(text: str) -> list[str]:
    """Return the entity tags of a list, each with its quotes; what is no tag is left out."""
    return [tag for element in text.split(",") if _TAG.fullmatch(tag := element.strip())]


def content_disposition(name: str, *, as_attachment: bool) -> str:
    """Return the value of ``Content-Disposition``, as RFC 6266 has it; ``name`` may be empty, or of any script."""
    kind = "attachment" if as_attachment else "inline"
    if not name:
        return kind
    if _QUOTABLE.fullmatch(name):
        escaped = name.replace("\\", r"\\").replace('"', r"\"")
        return f'{kind}; filename="{escaped}"'
    return f"{kind}; filename*=utf-8''{quote(name)}"
