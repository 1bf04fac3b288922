"""docs/packages.md names the test of each line, and leaves none out."""

import ast
import re
import textwrap
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "packages.md"


def test_the_page_names_the_tests_there_are() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))
    tests = {
        node.name
        for path in HERE.glob("test_*.py")
        if path != Path(__file__)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert named == tests


def bodies(source: str) -> dict[str, str]:
    """Return what each function does, by its name."""
    return {
        node.name: ast.dump(ast.Module(node.body, []))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
    }


def test_the_functions_of_the_page_are_those_that_the_tests_call() -> None:
    snippets = re.findall(r"^ *```python\n(.*?)^ *```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    shown = bodies("\n".join(textwrap.dedent(snippet) for snippet in snippets))
    called = {name: body for path in (HERE / "shop").glob("*.py") for name, body in bodies(path.read_text()).items()}
    assert len(shown) >= 4
    assert shown.items() <= called.items()
