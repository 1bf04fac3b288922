"""pandas and pyarrow read and write ``pglo://``."""

import importlib
from collections.abc import Iterator
from typing import Any, Literal

import fsspec
import pandas as pd
import pytest

from example.cluster import Server
from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from tests.fixtures.connections import Connect

# pyarrow has no types.
pq: Any = importlib.import_module("pyarrow.parquet")

FRAME = pd.DataFrame({"n": range(100_000), "text": [f"line {number}" for number in range(100_000)]})


@pytest.fixture(params=["connection", "dsn"])
def storage_options(request: pytest.FixtureRequest, server: Server, connect: Connect) -> Iterator[dict[str, Any]]:
    """What pandas is given to find the database."""
    options: dict[str, Any] = (
        {"dsn": server.dsn()} if request.param == "dsn" else {"connection": connect(autocommit=True)}
    )
    fs = fsspec.filesystem("pglo", **options)
    assert isinstance(fs, PgLoFileSystem)
    yield options
    fs.close()


@pytest.fixture
def fs_of_pandas(storage_options: dict[str, Any]) -> PgLoFileSystem:
    """The filesystem that pandas has."""
    fs = fsspec.filesystem("pglo", **storage_options)
    assert isinstance(fs, PgLoFileSystem)
    return fs


def test_parquet(fs_of_pandas: PgLoFileSystem, storage_options: dict[str, Any]) -> None:
    FRAME.to_parquet("pglo://new.parquet", storage_options=storage_options)
    url = f"pglo://{fs_of_pandas.last_created}"
    assert url.endswith(".parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(url, storage_options=storage_options), FRAME)
    columns = pd.read_parquet(url, storage_options=storage_options, columns=["n"])
    pd.testing.assert_frame_equal(columns, FRAME[["n"]])
    FRAME[:10].to_parquet(url, storage_options=storage_options)
    pd.testing.assert_frame_equal(pd.read_parquet(url, storage_options=storage_options), FRAME[:10])


@pytest.mark.parametrize("extension", ["csv", "csv.gz"])
def test_csv(fs_of_pandas: PgLoFileSystem, storage_options: dict[str, Any], extension: str) -> None:
    compression: Literal["gzip"] | None = "gzip" if extension.endswith("gz") else None
    FRAME.to_csv(f"pglo://new.{extension}", storage_options=storage_options, index=False, compression=compression)
    url = f"pglo://{fs_of_pandas.last_created}"
    read = pd.read_csv(url, storage_options=storage_options, compression=compression)
    assert read["n"].tolist() == FRAME["n"].tolist()
    lines: dict[str, Any] = {"storage_options": storage_options, "index": False, "header": False}
    FRAME[:2].to_csv(url, compression=compression, **lines)
    FRAME[2:4].to_csv(url, compression=compression, mode="a", **lines)
    with fs_of_pandas.open(url, compression=compression) as file:
        assert file.read() == b"0,line 0\n1,line 1\n2,line 2\n3,line 3\n"


def test_a_frame_is_in_the_transaction_of_the_filesystem(
    fs_of_pandas: PgLoFileSystem, storage_options: dict[str, Any]
) -> None:
    fs_of_pandas.ls("")
    with pytest.raises(ZeroDivisionError), fs_of_pandas.transaction:  # noqa: PT012 -- what is rolled back
        FRAME.to_parquet("pglo://new.parquet", storage_options=storage_options)
        url = f"pglo://{fs_of_pandas.last_created}"
        assert len(pd.read_parquet(url, storage_options=storage_options)) == len(FRAME)
        raise ZeroDivisionError
    assert fs_of_pandas.ls("") == []


def test_pyarrow_takes_the_filesystem(fs_of_pandas: PgLoFileSystem) -> None:
    with fs_of_pandas.open("new.parquet", "wb") as file:
        FRAME.to_parquet(file)
    table = pq.read_table(file.path, filesystem=fs_of_pandas, columns=["n"])
    assert table.num_rows == len(FRAME)
    with fs_of_pandas.open(file.path) as stored:
        metadata = pq.ParquetFile(stored).metadata
    assert metadata.num_rows == len(FRAME)
    pq.write_table(table, "new.parquet", filesystem=fs_of_pandas)
    assert pq.read_table(str(fs_of_pandas.last_created), filesystem=fs_of_pandas).equals(table)
