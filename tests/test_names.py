"""Names of stored files: made narrowly, read back generously, and never an error."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pg_lo_storage.names import LONGEST_NAME, MAX_OID, is_made, make_name, original_name_of, parse_name

pytestmark = pytest.mark.once

oids = st.integers(1, MAX_OID)
# Whole file names as well as what stands around their dots.
texts = st.text() | st.text("0123456789.+-_ /\\\0\nagrtz\ud800é٣", max_size=30)


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        ("report.pdf", "12.pdf"),
        ("report.v1.2.pdf", "12.pdf"),
        ("REPORT.PDF", "12.PDF"),
        ("a.tar.gz", "12.tar.gz"),
        ("a.tar.bz2", "12.tar.bz2"),
        ("a.tar.xz", "12.tar.xz"),
        ("a.tar.zst", "12.tar.zst"),
        ("a.tar.pdf", "12.pdf"),
        ("a.star.gz", "12.gz"),
        ("tar.gz", "12.gz"),
        ("a.c++", "12.c++"),
        ("a.7z", "12.7z"),
        ("a.x_y-z", "12.x_y-z"),
        (None, "12"),
        ("", "12"),
        ("README", "12"),
        ("README.", "12"),
        (".profile", "12"),
        ("folder.d/README", "12"),
        ("folder/report.pdf", "12.pdf"),
        ("C:\\folder.d\\README", "12"),
        ("C:\\folder\\report.pdf", "12.pdf"),
        ("a." + "x" * 20, "12." + "x" * 20),
        ("a." + "x" * 21, "12"),
        ("a.ünï", "12"),
        ("a.p df", "12"),
        ("a.pd\nf", "12"),
        ("a.p\0df", "12"),
        ("a.٣", "12"),
        ("a.\u212a", "12"),
        ("a.<b>", "12"),
        ("a.pdf/", "12"),
        ("a.\ud800", "12"),
    ],
)
def test_a_made_name_keeps_a_usable_extension(original: str | None, expected: str) -> None:
    assert make_name(12, original) == expected


@pytest.mark.parametrize(
    ("max_length", "expected"), [(None, "123.pdf"), (100, "123.pdf"), (7, "123.pdf"), (6, "123"), (3, "123")]
)
def test_a_name_longer_than_allowed_loses_its_extension(max_length: int | None, expected: str) -> None:
    assert make_name(123, "a.pdf", max_length=max_length) == expected


@pytest.mark.parametrize("loid", [0, -1, 2**32, 2**64])
def test_no_name_is_made_of_what_is_no_oid(loid: int) -> None:
    with pytest.raises(ValueError, match=str(MAX_OID)):
        make_name(loid, "a.pdf")


@pytest.mark.parametrize(
    ("name", "loid"),
    [
        ("1", 1),
        ("12.pdf", 12),
        ("4294967295", MAX_OID),
        ("4294967295.tar.gz", MAX_OID),
        ("12.", 12),
        ("12.v1.2.pdf", 12),
        ("12.tar.gz", 12),
        ("12.p df", 12),
        ("12.ünï", 12),
        ("12..pdf", 12),
        ("12." + "x" * 100, 12),
    ],
)
def test_names_that_can_be_stored_are_read(name: str, loid: int) -> None:
    assert parse_name(name) == loid


@pytest.mark.parametrize(
    "name",
    [
        "",
        "0",
        "0.pdf",
        "-5",
        "-5.pdf",
        "+12",
        "+12.pdf",
        "1_2",
        "1_2.pdf",
        "012",
        "00012.pdf",
        " 12",
        " 12.pdf",
        "12 ",
        "12 .pdf",
        "12\n",
        "12.pdf\n",
        "\n12.pdf",
        "12\0",
        "12.p\0df",
        "12.p\x1fdf",
        "12.p\x7fdf",
        "12.p\x85df",
        "١٢",
        "١٢.pdf",
        "\uff11\uff12.pdf",
        "1²",
        "1\uff12.pdf",
        "../12",
        "../12.pdf",
        "dir/12.pdf",
        "/12.pdf",
        "./12.pdf",
        "12/",
        "12.pdf/",
        "12./pdf",
        "12.\\pdf",
        "12\\..\\13",
        "12pdf",
        "12-pdf",
        "12.5e3/..",
        "0x12",
        "1e3",
        "4294967296",
        "9999999999.pdf",
        "123456789012345678901",
        "123456789012345678901.pdf",
        "9" * 10_000,
        "12." + "x" * 101,
        "12.\ud800",
        "\ud800",
        "nothing.pdf",
        ".pdf",
        ".",
        "..",
    ],
    ids=ascii,
)
def test_anything_else_names_nothing(name: str) -> None:
    assert parse_name(name) is None


@pytest.mark.parametrize("value", [None, 12, 12.0, True, b"12.pdf", ["12"], Path("12.pdf"), object(), str])
def test_what_is_no_string_names_nothing(value: object) -> None:
    assert parse_name(value) is None


@given(texts | st.none() | st.integers() | st.binary() | st.floats() | st.lists(st.text()))
def test_reading_a_name_never_raises(value: Any) -> None:
    loid = parse_name(value)
    assert loid is None or 0 < loid <= MAX_OID


@given(oids, texts)
def test_a_name_has_one_spelling_for_its_oid(loid: int, rest: str) -> None:
    # Whatever follows the number: if that is a name at all, it is this object's.
    assert parse_name(f"{loid}.{rest}") in {loid, None}


@given(oids, st.none() | texts)
def test_a_made_name_is_read_back_and_short_and_ascii(loid: int, original: str | None) -> None:
    name = make_name(loid, original)
    assert parse_name(name) == loid
    assert name.isascii()
    assert name.isprintable()
    assert len(name) <= LONGEST_NAME


@given(oids, st.text("abz019_+-", min_size=1, max_size=30), st.integers(10, 40))
def test_a_made_name_obeys_its_maximum_length(loid: int, extension: str, max_length: int) -> None:
    name = make_name(loid, f"original.{extension}", max_length=max_length)
    assert len(name) <= max_length
    assert parse_name(name) == loid
    full = make_name(loid, f"original.{extension}")
    assert name == (full if len(full) <= max_length else str(loid))


@given(oids, st.sampled_from(["pdf", "tar.gz", "tar.zst", "x" * 20, "C"]), st.text("ab.é ٣", min_size=1))
def test_the_extension_does_not_depend_on_the_rest_of_the_name(loid: int, extension: str, stem: str) -> None:
    assert make_name(loid, f"{stem}x.{extension}") == f"{loid}.{extension}"


@pytest.mark.parametrize(
    "name",
    ["12.", "12.v1.2.pdf", "12.jpg.100x100_q85.jpg", "12.thumb.jpg", "12..jpg", "12.p df", "12.ünï", "12.tar.jpg"],
)
def test_of_what_is_read_not_all_is_made(name: str) -> None:
    assert parse_name(name) == 12
    assert not is_made(name)


@given(oids, st.none() | texts)
def test_what_is_made_is_known_as_made(loid: int, original: str | None) -> None:
    assert is_made(make_name(loid, original))


@given(texts)
def test_what_is_known_as_made_is_made(name: str) -> None:
    if is_made(name):
        loid = parse_name(name) or 0
        assert name == make_name(loid, f"a{name.removeprefix(str(loid))}")


@pytest.mark.parametrize(
    ("original", "kept"),
    [
        ("a" * 1000, "a" * 1000),
        ("a" * 1001, "a" * 1000),
        ("a" * 5000 + ".pdf", "a" * 996 + ".pdf"),
        ("a" * 5000 + ".tar.gz", "a" * 993 + ".tar.gz"),
        ("a." + "x" * 5000, "a." + "x" * 998),
        ("folder/" * 1000 + "a.pdf", "a.pdf"),
        ("日" * 5000 + ".pdf", "日" * 996 + ".pdf"),
        # Where it is cut, no other extension comes to stand at the end.
        ("a" * 996 + ".exe, no extension", "a" * 996 + "."),
        ("a" * 995 + ".exe , no extension", "a" * 995 + "."),
        ("a" * 993 + ".tar, not its end.gz", "a" * 993 + ".ta.gz"),
    ],
)
def test_an_original_name_has_up_to_1000_characters(original: str, kept: str) -> None:
    assert original_name_of(original) == kept
    assert make_name(1, original) == make_name(1, kept)


@pytest.mark.parametrize(
    ("original", "kept"),
    [
        ("folder/a.pdf", "a.pdf"),
        ("C:\\folder\\a.pdf", "a.pdf"),
        (Path("folder", "a.pdf"), "a.pdf"),
        (" a.pdf ", "a.pdf"),
        ("a\0b\ud800c.pdf", "abc.pdf"),
        (None, ""),
        (12, ""),
        (b"a.pdf", ""),
    ],
)
def test_an_original_name_is_what_can_be_stored_of_the_last_part(original: object, kept: str) -> None:
    assert original_name_of(original) == kept
    assert make_name(12, original) == make_name(12, kept)
