"""The examples, in fewer than 40 lines each, do what they say."""

import asyncio
import importlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, text

from example.cluster import Server
from tests.contrib_sqlalchemy.conftest import url_of
from tests.contrib_sqlalchemy.support import LARGE
from tests.contrib_sqlalchemy.test_files import stored

FOLDER = Path(__file__).parents[2] / "example" / "web"


@pytest.fixture(autouse=True)
def tidied(engine: Engine) -> Iterator[None]:
    """Remove what the examples leave."""
    yield
    with engine.begin() as connection:
        connection.execute(text("drop table if exists letter"))
        connection.execute(text("select lo_unlink(oid) from pg_largeobject_metadata"))


@pytest.mark.parametrize("name", ["sqlalchemy_files.py", "fastapi_sqlalchemy.py"])
def test_an_example_is_short(name: str) -> None:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) < 40


def test_files_with_sqlalchemy(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str], driver_name: str, server: Server
) -> None:
    example = importlib.import_module("example.web.sqlalchemy_files")
    (tmp_path / "letter.pdf").write_bytes(LARGE)
    url = url_of(server, driver_name).render_as_string(hide_password=False)
    for _ in range(2):
        example.main(url, str(tmp_path / "letter.pdf"))
    assert capsys.readouterr().out == f"letter.pdf {len(LARGE)} bytes\n" * 2
    assert stored(engine) == [LARGE]


def test_files_with_fastapi_and_an_asynchronous_session(
    engine: Engine, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("URL", url_of(server, "psycopg").render_as_string(hide_password=False))
    example = importlib.reload(importlib.import_module("example.web.fastapi_sqlalchemy"))
    example.Base.metadata.create_all(engine)

    async def use() -> None:
        transport = httpx.ASGITransport(app=example.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            for content in (b"old", LARGE):
                saved = await client.put("/letters/a.txt", files={"scan": content})
                assert saved.status_code == 201
            whole = await client.get("/letters/a.txt")
            assert (whole.status_code, whole.content) == (200, LARGE)
            part = await client.get("/letters/a.txt", headers={"Range": "bytes=-3"})
            assert (part.status_code, part.content) == (206, LARGE[-3:])
            assert (await client.get("/letters/b.txt")).status_code == 404
        await example.engine.dispose()

    asyncio.run(use())
    assert stored(engine) == [LARGE]
