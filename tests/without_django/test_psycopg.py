"""What a user of psycopg reads does what it says, where there is no Django."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest

from example.cluster import Server

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "psycopg.md"
README = ROOT / "README.md"
SNIPPET = re.compile(r"^```python\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the snippets run, with the file that they store."""
    (tmp_path / "report.pdf").write_bytes(bytes(200_000))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def tidied(server: Server) -> Iterator[None]:
    """Remove what the snippets leave in the database."""
    yield
    with psycopg.connect(server.dsn()) as connection:
        connection.execute("drop table if exists report")
        connection.execute("select lo_unlink(oid) from pg_largeobject_metadata")


def run(snippet: str, server: Server, namespace: dict[str, Any]) -> None:
    exec(compile(snippet.replace('"dbname=app"', repr(server.dsn())), "snippet", "exec"), namespace)


def test_there_is_no_django() -> None:
    assert find_spec("django") is None


@pytest.mark.usefixtures("folder")
def test_every_snippet_of_the_page_runs(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, Any] = {}
    snippets = SNIPPET.findall(PAGE.read_text(encoding="utf-8"))
    for snippet in snippets:
        run(snippet, server, namespace)
    # The first two stream a file of 200,000 bytes, the next but one reports its progress.
    blocks = ["65536 bytes"] * 3 + ["3392 bytes"]
    assert capsys.readouterr().out.splitlines() == [*blocks, *blocks, "100%"]


def test_the_page_has_no_word_of_django() -> None:
    assert "django" not in PAGE.read_text(encoding="utf-8").lower()


def test_the_first_two_snippets_take_no_more_than_six_lines_to_store_and_stream_a_file() -> None:
    first, _ = SNIPPET.findall(PAGE.read_text(encoding="utf-8"))[:2]
    lines = [line for line in first.splitlines() if line.strip() and not line.startswith("import ")]
    assert len(lines) <= 6


def test_the_readme_stores_and_streams_a_file_in_six_lines(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    sections = re.split(r"^## ", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (section,) = [text for text in sections if text.startswith("Quickstart: psycopg without Django")]
    first, *others = SNIPPET.findall(section)
    assert len([line for line in first.splitlines() if line]) == 6
    namespace: dict[str, Any] = {}
    run(first, server, namespace)
    assert capsys.readouterr().out == "38 bytes\n"
    for snippet in others:
        run(snippet, server, namespace)
