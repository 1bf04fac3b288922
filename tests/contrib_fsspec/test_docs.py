"""Every Python snippet of docs/fsspec.md runs, in its order, and does what the page says."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from example.cluster import Server
from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from tests.fixtures.connections import INSTALLED, open_connection, run

pytestmark = pytest.mark.once

PAGE = Path(__file__).parents[2] / "docs" / "fsspec.md"
SNIPPET = re.compile(r"^```python\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def tidied(server: Server) -> Iterator[None]:
    """Remove the table that the snippets make, and close what they have opened."""
    yield
    PgLoFileSystem.clear_instance_cache()
    with closing(open_connection(INSTALLED[0], server.dsn(), autocommit=True)) as connection:
        connection.cursor().execute("drop table if exists report")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("tidied")
def test_every_snippet_of_the_page_runs(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    snippets = SNIPPET.findall(PAGE.read_text(encoding="utf-8"))
    for snippet in snippets:
        adapted = snippet.replace('"dbname=app"', repr(server.dsn()))
        if "psycopg" not in INSTALLED:
            adapted = adapted.replace("import psycopg\n", "import psycopg2 as psycopg\n")
        exec(compile(adapted, str(PAGE), "exec"), namespace)
        if "connection" in namespace:
            # psycopg2 leaves it open at the end of the block, committed.
            namespace.pop("connection").close()
    assert (tmp_path / "cities.csv").read_text(encoding="utf-8") == "city,people\nOslo,700000\nRome,2800000\n"
    with closing(open_connection(INSTALLED[0], server.dsn(), autocommit=True)) as connection:
        [(oid,)] = run(connection, "select data from report")
        fs = PgLoFileSystem(connection=connection)
        assert fs.cat_file(str(oid)).startswith(b"PAR1")
        assert {entry["oid"] for entry in namespace["listed"]} >= {oid}
        assert fs.cat_file(namespace["file"].path) == b"text"
