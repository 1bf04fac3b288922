"""What each mode does to an object that is there, and to one that is not."""

import errno
from pathlib import Path
from typing import cast, get_args

import pytest

from pg_lo_storage.exceptions import LargeObjectExists, LargeObjectNotFound
from pg_lo_storage.io.modes import BinaryMode
from pg_lo_storage.names import MAX_OID
from tests.io.files import Files

TEXT_MODES = ["r", "w", "a", "x", "r+", "rt", "wt", "at", "xt", "rt+"]
OTHER_MODES = ["", "b", "rwb", "rbb", "rb++", "rbU", " rb", "rb ", "RB"]


@pytest.mark.parametrize("mode", get_args(BinaryMode))
def test_every_spelling_opens_for_what_it_says(files: Files, mode: BinaryMode) -> None:
    with files.open(0 if "x" in mode else files.stored(b"data"), mode) as file:
        assert file.readable() == ("r" in mode or "+" in mode)
        assert file.writable() == ("r" not in mode or "+" in mode)


@pytest.mark.parametrize("mode", get_args(BinaryMode))
def test_it_reports_the_mode_that_cpythons_own_file_reports(files: Files, tmp_path: Path, mode: BinaryMode) -> None:
    path = tmp_path / "file"
    if "x" not in mode:
        path.touch()
    with path.open(mode, buffering=0) as expected, files.open(0 if "x" in mode else files.stored(b""), mode) as file:
        assert file.mode == expected.mode
        assert f"mode={expected.mode!r}" in repr(file)
        for each in (expected, file):
            with pytest.raises(AttributeError):
                setattr(each, "mode", "rb")  # noqa: B010 -- a checker would not let it be assigned


@pytest.mark.parametrize("mode", ["wb", "ab", "xb", "wb+", "ab+", "xb+"])
def test_oid_0_makes_an_object(files: Files, mode: BinaryMode) -> None:
    with files.open(0, mode) as file:
        file.write(b"data")
    assert file.oid
    assert files.content(file.oid) == b"data"


@pytest.mark.parametrize("mode", ["wb", "wb+"])
def test_w_keeps_what_is_there(files: Files, mode: BinaryMode) -> None:
    oid = files.stored(b"0123456789")
    with files.open(oid, mode) as file:
        assert file.tell() == 0
        file.seek(2)
        file.write(b"ab")
    assert files.content(oid) == b"01ab456789"


def test_w_and_truncate_replace_it(files: Files) -> None:
    oid = files.stored(b"0123456789")
    with files.open(oid, "wb") as file:
        assert file.truncate(0) == 0
        file.write(b"ab")
    assert files.content(oid) == b"ab"


@pytest.mark.parametrize("mode", ["ab", "ab+"])
def test_a_writes_at_the_end_wherever_it_stands(files: Files, mode: BinaryMode) -> None:
    oid = files.stored(b"0123")
    with files.open(oid, mode) as file:
        assert file.tell() == 4
        file.seek(0)
        assert file.write(b"ab") == 2
        assert file.tell() == 6
        file.seek(1)
        file.writelines([b"c", b"d"])
    assert files.content(oid) == b"0123abcd"


def test_two_files_that_append_never_overwrite_each_other(files: Files) -> None:
    oid = files.stored(b"")
    with files.open(oid, "ab") as one, files.open(oid, "ab+") as other:
        for file in (one, other, other, one):
            file.write(b"1" if file is one else b"2")
        other.seek(0)
        assert other.read() == b"1221"


def test_a_truncated_file_is_appended_to_at_its_new_end(files: Files) -> None:
    oid = files.stored(b"0123")
    with files.open(oid, "ab") as file:
        file.truncate(2)
        file.write(b"x")
    assert files.content(oid) == b"01x"


@pytest.mark.parametrize("mode", ["xb", "xb+"])
def test_x_takes_an_oid_that_is_free(files: Files, mode: BinaryMode) -> None:
    oid = files.stored(b"old")
    files.driver.unlink(oid)
    with files.open(oid, mode) as file:
        assert file.oid == oid
        file.write(b"new")
    assert files.content(oid) == b"new"


@pytest.mark.parametrize("mode", ["xb", "xb+"])
def test_x_leaves_an_object_that_is_there_alone(files: Files, mode: BinaryMode) -> None:
    oid = files.stored(b"old")
    with pytest.raises(LargeObjectExists) as caught:
        files.open(oid, mode)
    assert isinstance(caught.value, FileExistsError)
    assert caught.value.oid == oid
    assert files.content(oid) == b"old"


def test_a_gap_is_filled_with_zeros(files: Files) -> None:
    with files.open(0, "wb+") as file:
        file.seek(5000)
        assert file.size == 0
        file.write(b"x")
        file.truncate(5003)
        assert file.tell() == 5001
        file.seek(0)
        assert file.read() == bytes(5000) + b"x" + bytes(2)


@pytest.mark.parametrize("mode", [*TEXT_MODES, *OTHER_MODES])
def test_only_binary_modes_are_taken(files: Files, mode: str) -> None:
    with pytest.raises(ValueError, match="mode"):
        files.open(files.stored(b""), cast("BinaryMode", mode))


def test_a_text_mode_names_what_to_use_instead(files: Files) -> None:
    with pytest.raises(ValueError, match=r"io\.TextIOWrapper"):
        files.open(files.stored(b""), cast("BinaryMode", "r"))


@pytest.mark.parametrize("mode", [None, 5, b"rb"])
def test_a_mode_is_a_string(files: Files, mode: object) -> None:
    with pytest.raises(TypeError, match="mode"):
        files.open(files.stored(b""), cast("BinaryMode", mode))


@pytest.mark.parametrize("mode", ["rb", "rb+", "r+b"])
def test_a_mode_that_cannot_create_needs_an_oid(files: Files, mode: BinaryMode) -> None:
    with pytest.raises(ValueError, match="cannot create"):
        files.open(0, mode)


def test_without_oid_and_mode_it_is_reading_a_new_object_which_cannot_be(files: Files) -> None:
    with pytest.raises(ValueError, match="'rb' cannot create"):
        files.open()


@pytest.mark.parametrize("oid", ["1", 1.0, None])
def test_an_oid_is_an_integer(files: Files, oid: object) -> None:
    with pytest.raises(TypeError):
        files.open(cast("int", oid), "rb")


@pytest.mark.parametrize("mode", ["rb", "rb+", "wb", "ab"])
@pytest.mark.parametrize("oid", [-1, MAX_OID, MAX_OID + 1, 2**70])
def test_an_object_that_is_missing_is_a_file_not_found(files: Files, oid: int, mode: BinaryMode) -> None:
    with pytest.raises(LargeObjectNotFound) as caught:
        files.open(oid, mode)
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.errno == errno.ENOENT
