"""What RFC 9110 says a server answers, written from the RFC: requests are drawn with their meaning, and not parsed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from email.utils import formatdate
from typing import Final, Literal, NamedTuple

from hypothesis import strategies as st

DAY: Final = 86_400
Tags = list[tuple[bool, str]] | Literal["*", "none"]
Specs = list[tuple[int | None, int | None]] | Literal["ignored"]


@dataclass(frozen=True)
class File:
    """A file, its strong entity tag, and when it was last modified, in seconds since 1970."""

    data: bytes
    etag: str | None
    modified: int | None


@dataclass(frozen=True)
class Asked:
    """A request: its method, and of each header the text and what it means."""

    method: str
    if_match: tuple[str, Tags] | None
    if_none_match: tuple[str, Tags] | None
    if_modified_since: tuple[str, int | None] | None
    if_unmodified_since: tuple[str, int | None] | None
    if_range: tuple[str, tuple[bool, str] | int | None] | None
    range: tuple[str, Specs] | None
    noise: dict[str, str] = field(default_factory=dict[str, str])

    def headers(self) -> dict[str, str]:
        """Return the headers' texts."""
        names = ("if_match", "if_none_match", "if_modified_since", "if_unmodified_since", "if_range", "range")
        found = {name.replace("_", "-"): value[0] for name in names if (value := getattr(self, name)) is not None}
        return found | self.noise


@dataclass(frozen=True)
class Answer:
    """The status, and which bytes are sent: first and last position of each part; ``whole`` says that they are all."""

    status: int
    parts: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


def answer(file: File, asked: Asked) -> Answer:
    """Follow section 13.2.2, and then section 14.2."""
    status = status_of_preconditions(file, asked)
    if status is not None:
        return Answer(status)
    if asked.method == "GET" and asked.range is not None and asked.range[1] != "ignored":  # step 5
        current = asked.if_range is None or is_current(asked.if_range[1], file)
        if current:
            return answer_to_ranges(asked.range[1], len(file.data))
    return Answer(200)


def status_of_preconditions(file: File, asked: Asked) -> int | None:
    """Follow steps 1 to 4."""
    if asked.if_match is not None:  # step 1
        if not matches(asked.if_match[1], file.etag, strong=True):
            return 412
    elif asked.if_unmodified_since is not None and file.modified is not None:  # step 2
        date = asked.if_unmodified_since[1]
        if date is not None and not file.modified <= date:
            return 412
    if asked.if_none_match is not None:  # step 3
        if matches(asked.if_none_match[1], file.etag, strong=False):
            return 304
    elif asked.if_modified_since is not None and file.modified is not None:  # step 4
        date = asked.if_modified_since[1]
        if date is not None and file.modified <= date:
            return 304
    return None


def matches(tags: Tags, etag: str | None, *, strong: bool) -> bool:
    """Compare by section 8.8.3.2."""
    if tags == "*":
        return True
    return tags != "none" and any(tag == etag and not (weak and strong) for weak, tag in tags)


def is_current(validator: tuple[bool, str] | int | None, file: File) -> bool:
    """Follow section 13.1.5."""
    if isinstance(validator, tuple):
        return not validator[0] and validator[1] == file.etag
    return validator is not None and validator == file.modified


def answer_to_ranges(specs: list[tuple[int | None, int | None]], size: int) -> Answer:
    """Follow sections 14.1.2 and 15.3.7, position by position."""
    wanted: list[set[int]] = []
    for first, last in specs:
        if first is None:
            assert last is not None
            wanted.append(set(range(max(size - last, 0), size)))
        else:
            end = size - 1 if last is None else last
            wanted.append({position for position in range(min(first, size), size) if position <= end})
    wanted = [positions for positions in wanted if positions]
    if not wanted:
        return Answer(416)
    joined: list[set[int]] = []
    for positions in wanted:
        touching = [other for other in joined if other & {near for p in positions for near in (p - 1, p, p + 1)}]
        if not touching:
            joined.append(set(positions))
            continue
        touching[0] |= positions.union(*touching)
        joined = [other for other in joined if other is touching[0] or other not in touching[1:]]
    return Answer(206, [(min(positions), max(positions)) for positions in joined])


class Sent(NamedTuple):
    """What was sent; the headers' names are spelled as in the RFC."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def check(sent: Sent, file: File, asked: Asked, *, dated: bool = True) -> None:
    """What was sent is the answer; one that is not ``dated`` may leave the date out of a 304 (15.4.5)."""
    expected = answer(file, asked)
    size = len(file.data)
    assert sent.status == expected.status
    if expected.status in {200, 206, 304, 412}:
        assert sent.headers.get("ETag") == file.etag
        last_modified = None if file.modified is None else formatdate(file.modified, usegmt=True)
        if dated or expected.status != 304:
            assert sent.headers.get("Last-Modified") == last_modified
        assert sent.headers["Cache-Control"] == "private, no-cache"
    assert sent.headers.get("Accept-Ranges") == ("bytes" if expected.status in {200, 206, 416} else None)
    if expected.status == 206:
        ranges = [(f"bytes {first}-{last}/{size}", file.data[first : last + 1]) for first, last in expected.parts]
        assert parts_of(sent) == ranges
        return
    content_range = f"bytes */{size}" if expected.status == 416 else None
    assert sent.headers.get("Content-Range") == content_range
    if expected.status == 200:
        assert sent.headers["Content-Length"] == str(size)
    assert sent.body == (file.data if expected.status == 200 and asked.method == "GET" else b"")


def parts_of(sent: Sent) -> list[tuple[str, bytes]]:
    """Return the ranges that are sent, and their bytes."""
    content_type = sent.headers["Content-Type"]
    assert int(sent.headers["Content-Length"]) == len(sent.body)
    if not content_type.startswith("multipart/"):
        return [(sent.headers["Content-Range"], sent.body)]
    assert "Content-Range" not in sent.headers
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + sent.body)
    parts = list(message.iter_parts())
    assert len(parts) > 1
    found: list[tuple[str, bytes]] = []
    for part in parts:
        assert part.get_content_type() == "application/pdf"
        decoded = part.get_payload(decode=True)
        assert isinstance(decoded, bytes)
        found.append((part["Content-Range"], decoded))
    return found


def spaced(separator: str) -> st.SearchStrategy[str]:
    return st.sampled_from([separator, f" {separator}", f"{separator} ", f"\t{separator} \t"])


def tag_lists(etag: str | None) -> st.SearchStrategy[tuple[str, Tags]]:
    """Draw the value of If-Match and If-None-Match."""
    none = ["", "abc", "W/", '"', "\x00", "**", "é", ",,,"]
    known = [etag] if etag else []
    tag = st.tuples(st.booleans(), st.sampled_from([*known, '"other"', '""']))

    def listed(comma: str, tags: list[tuple[bool, str]]) -> tuple[str, Tags]:
        return comma.join(("W/" if weak else "") + tag for weak, tag in tags), tags

    lists: st.SearchStrategy[tuple[str, Tags]] = st.builds(listed, spaced(","), st.lists(tag, min_size=1, max_size=3))
    others: list[tuple[str, Tags]] = [("*", "*"), (" * ", "*"), *((text, "none") for text in none)]
    return lists | st.sampled_from(others)


def dates(modified: int | None) -> st.SearchStrategy[tuple[str, int | None]]:
    """Draw the value of a header that is a date; ``None`` means that it is none."""
    invalid = ["", "yesterday", "Wed, 99 Oct 2015 07:28:00 GMT", "\x00", "9" * 400, "Wed, 21 Oct 2015 07:28:00"]
    moments = [(modified or 1_700_000_000) + seconds for seconds in (-DAY, -1, 0, 1, DAY)]
    texts: list[tuple[str, int | None]] = [(formatdate(moment, usegmt=True), moment) for moment in moments]
    return st.sampled_from([*texts, *texts, *((text, None) for text in invalid)])


def validators(file: File) -> st.SearchStrategy[tuple[str, tuple[bool, str] | int | None]]:
    """Draw the value of If-Range."""
    tags = st.tuples(st.booleans(), st.sampled_from([file.etag or '"other"', '"other"']))
    return dates(file.modified) | tags.map(lambda tag: (("W/" if tag[0] else "") + tag[1], tag))


def ranges(size: int) -> st.SearchStrategy[tuple[str, Specs]]:
    """Draw the value of Range."""
    ignored = [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "lines=1-2",
        "bytes=2-1",
        "bytes=a-b",
        "bytes=1-2;",
        "\x00",
        "bytes=--",
    ]
    # Mostly short ones, or several would be one in the end.
    position, length = st.integers(0, size + 5), st.integers(0, size // 8) | st.integers(0, size + 5)
    last = st.tuples(st.none(), length)
    rest = st.tuples(position, st.none())
    within = st.tuples(position, length).map(lambda drawn: (drawn[0], sum(drawn)))
    spec: st.SearchStrategy[tuple[int | None, int | None]] = last | rest | within

    def listed(
        unit: str, before: str, comma: str, zeros: str, specs: list[tuple[int | None, int | None]]
    ) -> tuple[str, Specs]:
        texts = ["-".join("" if end is None else f"{zeros}{end}" for end in spec) for spec in specs]
        return f"{unit}={before}{comma.join(texts)}", specs

    def lists(least: int, most: int) -> st.SearchStrategy[tuple[str, Specs]]:
        zeros, specs = st.sampled_from(["", "0", "0" * 30]), st.lists(spec, min_size=least, max_size=most)
        return st.builds(listed, st.sampled_from(["bytes", "Bytes"]), spaced(","), spaced(","), zeros, specs)

    others: list[tuple[str, Specs]] = [(text, "ignored") for text in ignored]
    return lists(1, 1) | lists(2, 5) | st.sampled_from(others)


NOISE: Final = ["accept-encoding", "want-repr-digest", "content-range", "x-forwarded-for", "accept", "te", "expect"]


def requests(file: File) -> st.SearchStrategy[Asked]:
    """Draw a request for the file: of ranges, of ranges while the file is the same, or with any preconditions."""
    none, methods = st.none(), st.sampled_from(["GET", "GET", "GET", "HEAD"])
    noise = st.dictionaries(st.sampled_from(NOISE), st.text(max_size=20), max_size=2)
    wanted, is_current = ranges(len(file.data)), validators(file)
    tags, date = none | tag_lists(file.etag), none | dates(file.modified)
    in_part = st.builds(Asked, methods, none, none, none, none, none, wanted, noise)
    resumed = st.builds(Asked, methods, none, none, none, none, is_current, wanted, noise)
    return (
        in_part | resumed | st.builds(Asked, methods, tags, tags, date, date, none | is_current, none | wanted, noise)
    )
