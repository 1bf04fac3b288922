"""The header fields of tus 1.0: each value is read, or refused with the status that the protocol has for it."""

import base64
import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pg_lo_storage.drivers.base import MAX_SIZE
from pg_lo_storage.http import tus
from pg_lo_storage.http.tus import Checksum, Refused

pytestmark = pytest.mark.once

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
KEYS = st.text("abcdefghijklmnopqrstuvwxyz-_", min_size=1)


def refused(call: Callable[[], object]) -> int:
    with pytest.raises(Refused) as caught:
        call()
    assert str(caught.value)
    assert caught.value.reason
    return caught.value.status


@given(st.dictionaries(KEYS, NAMES))
def test_metadata_comes_back(metadata: dict[str, str]) -> None:
    assert tus.parse_metadata(tus.format_metadata(metadata)) == metadata


@given(st.text())
def test_any_value_is_read_or_refused(value: str) -> None:
    for parse in (tus.parse_metadata, tus.parse_checksum, partial(tus.parse_length, "Upload-Length")):
        with suppress(Refused):
            parse(value)


@given(st.binary(), st.sampled_from(["sha1", "sha256"]))
def test_a_checksum_is_that_of_these_bytes_alone(data: bytes, algorithm: str) -> None:
    digest = hashlib.new(algorithm, data).digest()
    checksum = tus.parse_checksum(f"{algorithm} {base64.b64encode(digest).decode()}")
    assert checksum is not None
    assert checksum == Checksum(algorithm, digest)
    checksum.verify(digest)
    with pytest.raises(
        Refused, match=f"^the {algorithm} of the bytes that came is another one: none was kept"
    ) as caught:
        checksum.verify(hashlib.new(algorithm, data + b"x").digest())
    assert caught.value.status == 460
    assert tus.parse_checksum(None) is None


@pytest.mark.parametrize("value", ["", "md5 AAAA", "sha1", "sha1 AAAA", "sha1 !", "sha1 ä", f"sha256 {'A' * 27}="])
def test_another_checksum_is_refused(value: str) -> None:
    assert refused(lambda: tus.parse_checksum(value)) == 400


@pytest.mark.parametrize(
    ("value", "metadata"),
    [
        ("", {}),
        ("  ", {}),
        ("is_confidential", {"is_confidential": ""}),
        (
            "filename d29ybGQ=, filetype  dGV4dA==,relativePath",
            {"filename": "world", "filetype": "text", "relativePath": ""},
        ),
        ("filename AP8=", {"filename": "\ufffd\ufffd"}),
    ],
)
def test_metadata_may_lack_values(value: str, metadata: dict[str, str]) -> None:
    assert tus.parse_metadata(value) == metadata


@pytest.mark.parametrize("value", [",", "a,", "a,a", "ä", "a !", "a YQ", "a YQ== YQ==", "a\tYQ=="])
def test_malformed_metadata_is_refused(value: str) -> None:
    assert refused(lambda: tus.parse_metadata(value)) == 400


@given(st.integers(0, MAX_SIZE))
def test_a_length_is_a_number_of_bytes(length: int) -> None:
    assert tus.parse_length("Upload-Length", str(length)) == length


@pytest.mark.parametrize(
    ("value", "status"),
    [
        *((value, 400) for value in (None, "", "-1", "+1", "1.0", " 1", "1_0", "1\n", "\u0661", "9" * 5_000)),
        (str(MAX_SIZE + 1), 413),
        ("9" * 19, 413),
    ],
)
def test_another_length_is_refused(value: str | None, status: int) -> None:
    assert refused(lambda: tus.parse_length("Upload-Length", value)) == status


def test_only_this_version_and_this_type_are_taken() -> None:
    tus.require_version("1.0.0")
    tus.require_chunk("application/offset+octet-stream")
    for version in (None, "", "1.0", "0.2.2"):
        assert refused(partial(tus.require_version, version)) == 412
    for content_type in (None, "", "application/octet-stream"):
        assert refused(partial(tus.require_chunk, content_type)) == 415


def test_the_moment_of_expiry_is_a_date_of_http() -> None:
    assert tus.format_expires(1_798_761_600) == "Fri, 01 Jan 2027 00:00:00 GMT"


@pytest.mark.parametrize(
    ("call", "status", "told"),
    [
        (lambda: tus.require_version(None), 412, "Tus-Resumable has to be 1.0.0"),
        (lambda: tus.require_chunk("text/plain"), 415, "the body has to be application/offset+octet-stream"),
        (lambda: tus.parse_length("Upload-Length", "x"), 400, "Upload-Length has to be a number of bytes"),
        (
            lambda: tus.parse_length("Upload-Length", str(MAX_SIZE + 1)),
            413,
            "Upload-Length is more than a large object holds, 4,398,046,509,056 bytes",
        ),
        (
            lambda: tus.parse_metadata("a MQ==,a MQ=="),
            400,
            "Upload-Metadata has keys that are empty, twice there, or not ASCII",
        ),
        (lambda: tus.parse_metadata("a *"), 400, "Upload-Metadata has a value that is no base64"),
        (lambda: tus.parse_checksum("md5 MQ=="), 400, "Upload-Checksum has to be of sha1 or sha256"),
        (lambda: tus.parse_checksum("sha1 MQ== MQ=="), 400, "Upload-Checksum has a value that is no base64"),
        (lambda: tus.parse_checksum("sha1 MQ=="), 400, "Upload-Checksum has no sha1"),
    ],
)
def test_what_is_refused_says_why(call: Callable[[], object], status: int, told: str) -> None:
    with pytest.raises(Refused) as caught:
        call()
    assert (caught.value.status, str(caught.value)) == (status, told)
