"""What a user of SQLAlchemy reads does what it says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate.api import AutogenContext
from alembic.migration import MigrationContext
from sqlalchemy import Integer, MetaData, NullPool, create_engine, text

from example.cluster import Server
from pg_lo_storage.contrib.sqlalchemy import LargeObjectType
from tests.contrib_sqlalchemy.conftest import url_of

PAGE = Path(__file__).parents[2] / "docs" / "sqlalchemy.md"
SNIPPET = re.compile(r"^```python\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
URL = '"postgresql+psycopg://app@/app"'


@pytest.fixture
def url(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty database; the snippets run beside the file that they store."""
    (tmp_path / "report.pdf").write_bytes(bytes(200_000))
    monkeypatch.chdir(tmp_path)
    url = url_of(server, "psycopg").render_as_string(hide_password=False)
    yield url
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text("drop table if exists report, letter"))
        connection.execute(text("select lo_unlink(oid) from pg_largeobject_metadata"))


def test_every_snippet_of_the_page_runs(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, Any] = {}
    for snippet in SNIPPET.findall(PAGE.read_text(encoding="utf-8")):
        exec(compile(snippet.replace(URL, repr(url)), "snippet", "exec"), namespace)
    namespace["engine"].dispose()
    assert capsys.readouterr().out.splitlines() == ["65536 bytes"] * 3 + ["3392 bytes", "200000 bytes"]


def test_alembic_writes_the_column_as_the_page_says() -> None:
    namespace: dict[str, Any] = {}
    [snippet] = (it for it in SNIPPET.findall(PAGE.read_text(encoding="utf-8")) if "def render_item" in it)
    exec(compile(snippet, "snippet", "exec"), namespace)
    context = AutogenContext(MigrationContext.configure(dialect_name="postgresql"), MetaData())
    assert namespace["render_item"]("type", LargeObjectType(), context) == "postgresql.OID()"
    assert context.imports == {"from sqlalchemy.dialects import postgresql"}
    assert namespace["render_item"]("type", Integer(), context) is False


def test_the_page_has_no_word_of_django_but_that_it_is_not_needed() -> None:
    assert PAGE.read_text(encoding="utf-8").count("Django") == 1
