"""The libraries that take a binary file take this one."""

import csv
import gzip
import hashlib
import io
import json
import pickle
import shutil
import tarfile
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
from django.core.files import File
from PIL import Image

from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.io.modes import BinaryMode
from tests.io.files import Files, numbered_lines

DATA = numbered_lines(700_000)
ROWS = [["name", "value"], ["a", "1"], ['with "quotes"', "2\n3"], ["ä€😀", ""]]


def test_text_is_written_and_read(files: Files) -> None:
    text = "first\nzweite Zeile ä€😀\r\n" * 20_000
    with io.TextIOWrapper(files.open(0, "wb+"), encoding="utf-8", newline="") as wrapper:
        wrapper.write(text)
        wrapper.seek(0)
        assert wrapper.readline() == "first\n"
        cookie = wrapper.tell()
        rest = wrapper.read()
        assert rest == text[6:]
        wrapper.seek(cookie)
        assert wrapper.read() == rest


def test_text_is_appended_and_read_line_by_line(files: Files) -> None:
    oid = files.stored(b"one\n")
    with io.TextIOWrapper(files.open(oid, "ab"), encoding="utf-8") as wrapper:
        print("two", file=wrapper)
    with io.TextIOWrapper(files.open(oid), encoding="utf-8") as wrapper:
        assert list(wrapper) == ["one\n", "two\n"]


def test_csv_both_ways(files: Files) -> None:
    with io.TextIOWrapper(files.open(0, "wb+"), encoding="utf-8", newline="") as wrapper:
        csv.writer(wrapper).writerows(ROWS * 5000)
        wrapper.seek(0)
        assert list(csv.reader(wrapper)) == ROWS * 5000


def test_json_both_ways(files: Files) -> None:
    value = {"list": list(range(5000)), "text": "ä€😀"}
    with io.TextIOWrapper(files.open(0, "wb+"), encoding="utf-8") as wrapper:
        json.dump(value, wrapper)
        wrapper.seek(0)
        assert json.load(wrapper) == value
    with files.open(files.stored(b"[1]")) as file:
        assert json.load(file) == [1]


def test_buffered_reader(files: Files) -> None:
    with io.BufferedReader(files.open(files.stored(DATA))) as reader:
        assert reader.peek(4)[:4] == DATA[:4]
        assert reader.readline() == DATA[:21]
        assert reader.read(300_000) == DATA[21:300_021]
        reader.seek(-7, io.SEEK_END)
        assert reader.read() == DATA[-7:]


def test_buffered_writer(files: Files) -> None:
    with io.BufferedWriter(files.open(0, "wb"), buffer_size=1000) as writer:
        for start in range(0, len(DATA), 7777):
            writer.write(DATA[start : start + 7777])
        oid = writer.raw.oid
    assert files.content(oid) == DATA


def test_buffered_random(files: Files) -> None:
    oid = files.stored(DATA)
    with io.BufferedRandom(files.open(oid, "rb+")) as both:
        assert both.read(10) == DATA[:10]
        both.write(b"changed")
        assert both.read(10) == DATA[17:27]
        both.seek(400_000)
        both.write(b"changed")
        both.truncate()
    assert files.content(oid) == DATA[:10] + b"changed" + DATA[17:400_000] + b"changed"


def test_zip_written_read_and_appended_to(files: Files) -> None:
    with files.open(0, "wb+") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("first.txt", DATA)
            with archive.open("second.txt", "w") as member:
                member.write(b"second")
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("third.txt", b"third")
    with files.open(file.oid) as file, zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["first.txt", "second.txt", "third.txt"]
        assert archive.testzip() is None
        assert archive.read("first.txt") == DATA
        with archive.open("first.txt") as member:
            member.seek(500_000)
            assert member.read(100) == DATA[500_000:500_100]


@pytest.mark.parametrize("mode", ["wb+", "rb+"])
def test_gzip_reads_what_was_just_written(files: Files, mode: BinaryMode) -> None:
    """By the file's mode it decides whether it reads, or begins to write."""
    with files.open(0 if mode == "wb+" else files.stored(b""), mode) as file:
        file.write(gzip.compress(DATA))
        file.seek(0)
        with gzip.GzipFile(fileobj=file) as reader:
            assert reader.read() == DATA
        file.seek(0)
        assert gzip.decompress(file.read()) == DATA


def test_wave_is_written_and_read_by_the_files_mode(files: Files) -> None:
    with files.open(0, "wb") as file, wave.Wave_write(file) as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        writer.writeframes(bytes(1000))
    with files.open(file.oid) as file, wave.open(file) as reader:
        assert isinstance(reader, wave.Wave_read)
        assert reader.getnframes() == 500


def test_djangos_file_opens_again_in_the_mode_it_has(files: Files) -> None:
    with files.open(0, "wb+") as file:
        assert File(file).mode == "rb+"


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_tar_both_ways(files: Files, compression: str) -> None:
    with files.open(0, "wb+") as file:
        with tarfile.open(fileobj=file, mode=cast("Any", f"w:{compression}")) as archive:
            member = tarfile.TarInfo("first.txt")
            member.size = len(DATA)
            archive.addfile(member, io.BytesIO(DATA))
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            assert archive.getnames() == ["first.txt"]
            content = archive.extractfile("first.txt")
            assert content
            assert content.read() == DATA


def test_a_file_goes_into_a_tar(files: Files) -> None:
    with files.open(files.stored(DATA)) as file, tarfile.open(fileobj=io.BytesIO(), mode="w") as archive:
        member = tarfile.TarInfo("first.txt")
        member.size = file.size
        archive.addfile(member, file)
        assert file.tell() == len(DATA)


def test_gzip_both_ways(files: Files) -> None:
    with files.open(0, "wb+") as file:
        with gzip.open(file, "wb") as archive:
            archive.write(DATA)
        file.seek(0)
        with gzip.open(file) as archive:
            assert archive.readline() == DATA[:21]
            assert archive.read() == DATA[21:]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF"])
def test_an_image_is_saved_and_opened(files: Files, kind: str) -> None:
    picture = Image.linear_gradient("L").resize((300, 200))
    with files.open(0, "wb+") as file:
        picture.save(file, kind)
    with files.open(file.oid) as file, Image.open(file) as opened:
        assert (opened.format, opened.size) == (kind, (300, 200))
        opened.load()
        if kind != "JPEG":
            assert opened.convert("L").tobytes() == picture.tobytes()


def test_pandas_both_ways(files: Files) -> None:
    table = pd.DataFrame({"number": range(20_000), "text": "ä€😀"})
    with files.open(0, "wb+") as file:
        table.to_csv(file, index=False)
        file.seek(0)
        pd.testing.assert_frame_equal(pd.read_csv(file), table)
        file.seek(0)
        assert len(pd.read_csv(file, nrows=5)) == 5


def test_pandas_compresses(files: Files) -> None:
    table = pd.DataFrame({"number": range(20_000)})
    with files.open(0, "wb+") as file:
        table.to_csv(file, index=False, compression="gzip")
        file.seek(0)
        pd.testing.assert_frame_equal(pd.read_csv(file, compression="gzip"), table)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_digest_is_that_of_the_content(files: Files, algorithm: str) -> None:
    with files.open(files.stored(DATA)) as file:
        assert hashlib.file_digest(file, algorithm).digest() == hashlib.new(algorithm, DATA).digest()


def test_copying_both_ways(files: Files, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(DATA)
    with source.open("rb") as theirs, files.open(0, "wb") as ours:
        shutil.copyfileobj(theirs, ours)
    with files.open(ours.oid) as ours, target.open("wb") as theirs:
        shutil.copyfileobj(ours, theirs)
    assert target.read_bytes() == DATA


def test_copying_from_one_object_to_another(files: Files) -> None:
    with files.open(files.stored(DATA)) as source, files.open(0, "wb") as target:
        shutil.copyfileobj(source, target)
    assert files.content(target.oid) == DATA


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_both_ways(files: Files, protocol: int) -> None:
    values = [{"data": DATA}, list(range(1000))]
    with files.open(0, "wb+") as file:
        for value in values:
            pickle.dump(value, file, protocol)
        file.seek(0)
        assert [pickle.load(file), pickle.load(file)] == values


def open_tar(file: LargeObjectIO) -> object:
    return tarfile.open(fileobj=file)


@pytest.mark.parametrize(
    "misread",
    [zipfile.ZipFile, open_tar, Image.open, pickle.load],
    ids=["zip", "tar", "image", "pickle"],
)
def test_a_library_that_refuses_the_content_leaves_the_transaction(
    files: Files, misread: Callable[[LargeObjectIO], object]
) -> None:
    with files.open(files.stored(b"not what it is taken for")) as file:
        with pytest.raises((zipfile.BadZipFile, tarfile.ReadError, OSError, pickle.UnpicklingError)):
            misread(file)
        assert not file.closed
        file.seek(0)
        assert file.read(3) == b"not"
