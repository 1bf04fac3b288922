"""Every snippet of docs/drivers.md runs, and does what the page says."""

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from example.cluster import Server
from pg_lo_storage.aio import AsyncSQLDriver
from pg_lo_storage.drivers import SQLDriver, registry

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "drivers.md").read_text(encoding="utf-8")


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_snippets_run_in_their_order(server: Server) -> None:
    namespace: dict[str, Any] = {"__name__": "snippets"}
    wrapper, static, kit, slow = snippets("python")
    assert (
        len([line for line in wrapper[wrapper.index("class") : wrapper.index("before =")].splitlines() if line]) <= 10
    )
    for snippet in (wrapper, static, kit, slow):
        exec(compile(snippet.replace('"dbname=app"', repr(server.dsn())), "docs/drivers.md", "exec"), namespace)
    assert registry.factory_for(namespace["psycopg"].Connection).__name__ == "Psycopg3Driver"


def test_the_kit_takes_the_asynchronous_fixture(server: Server, tmp_path: Path) -> None:
    _, _, kit, _ = snippets("python")
    (tmp_path / "test_mine.py").write_text(kit.replace('"dbname=app"', repr(server.dsn())))
    # All of it is run on the package's own drivers.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:django", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run([*command, "-k", "transaction"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert re.search(r"^\d\d+ passed", done.stdout, flags=re.MULTILINE), done.stdout[-2000:]
    assert done.returncode == 0


def test_the_entry_points_are_of_the_example_drivers() -> None:
    (declared,) = snippets("toml")
    groups = tomllib.loads(declared)["project"]["entry-points"]
    assert list(groups) == ["pg_lo_storage.drivers", "pg_lo_storage.async_drivers"]
    for (group, points), base in zip(groups.items(), (SQLDriver, AsyncSQLDriver), strict=True):
        for name, value in points.items():
            driver = EntryPoint(name, f"example.drivers.{value}", group).load()
            assert issubclass(driver, base)
            module, _, attribute = name.rpartition(".")
            assert isinstance(getattr(import_module(module), attribute), type)
