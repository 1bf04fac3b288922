"""docs/reliability.md names tests that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
PROMISES = re.findall(r"^\| ([^|*]+) \| ([^|]+) \|$", PAGE.partition("## Promises")[2], re.MULTILINE)[1:]


@pytest.mark.once
def test_each_promise_has_tests_that_there_are() -> None:
    assert len(PROMISES) > 40
    for promise, held in PROMISES:
        paths = re.findall(r"`([^`]+)`", held)
        assert paths, promise
        for path, _, name in (path.partition("::") for path in paths):
            tests = (ROOT / path).read_text(encoding="utf-8")
            assert f"def {name or 'test_'}" in tests, (path, name)


@pytest.mark.once
def test_each_file_that_the_page_names_is_there() -> None:
    paths = re.findall(r"`((?:tests|src)/[\w/.]+\.py)`", PAGE)
    assert len(paths) > 100
    assert [path for path in paths if not (ROOT / path).exists()] == []
