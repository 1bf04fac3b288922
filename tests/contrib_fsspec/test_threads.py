"""A file of the filesystem that is read in a thread of the library's own."""

import importlib
from typing import Any

import pytest
from django.db import transaction

from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from tests.io.files import in_a_thread, numbered_lines

# pyarrow has no types.
csv: Any = importlib.import_module("pyarrow.csv")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("in_filesystems_own", [False, True])
def test_a_file_of_a_django_transaction(in_filesystems_own: bool) -> None:
    fs, rows = PgLoFileSystem(alias="default"), numbered_lines(2_000_000, 9)
    with fs.transaction if in_filesystems_own else transaction.atomic():
        with fs.open("new.csv", "wb") as file:
            file.write(b"number\n" + rows)
        with fs.open(file.path) as reader:
            assert in_a_thread(reader.read) == b"number\n" + rows
            reader.seek(0)
            assert csv.read_csv(reader).num_rows == rows.count(b"\n")
