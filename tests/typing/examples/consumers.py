"""What takes a binary file takes these."""

import csv
import gzip
import hashlib
import io
import json
import pickle
import shutil
import tarfile
import zipfile
from typing import assert_type
from xml.etree import ElementTree as ET

import pandas as pd
from django.core.files.base import File
from django.http import FileResponse
from PIL import Image

from pg_lo_storage.storage import DbFileIO


def python_itself(file: DbFileIO) -> None:
    with zipfile.ZipFile(file) as archive:
        assert archive.read("letter.txt") == b"Dear customer"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("letter.txt", "Dear customer")
    with tarfile.open(fileobj=file) as tar, tarfile.open(fileobj=file, mode="w:gz") as written:
        assert_type(tar, tarfile.TarFile)
        assert_type(written, tarfile.TarFile)
    with gzip.GzipFile(fileobj=file) as member, gzip.open(file, "rt") as text:
        member.read()
        text.read()
    for row in csv.reader(io.TextIOWrapper(file, newline="")):
        assert_type(row, list[str])
    csv.writer(io.TextIOWrapper(file, "utf-8", write_through=True)).writerow(["a", 1])
    io.BufferedReader(file).peek()
    io.BufferedWriter(file).flush()
    io.BufferedRandom(file).seek(0)
    shutil.copyfileobj(file, file, 1 << 20)
    assert_type(hashlib.file_digest(file, "sha256").hexdigest(), str)
    json.load(file)
    pickle.dump([1], file)
    pickle.load(file)
    ET.parse(file).write(file)


def others(file: DbFileIO) -> None:
    with Image.open(file) as image:
        image.save(file, "PNG")
    assert_type(pd.read_csv(file), pd.DataFrame)
    pd.DataFrame().to_csv(file)
    pd.DataFrame().to_parquet(file)


def django(file: DbFileIO) -> None:
    File(file, "march.pdf").close()
    FileResponse(file, as_attachment=True, filename="march.pdf")
