"""What may be imported from where, and with what absent."""

import hashlib
import importlib
import pkgutil
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import pg_lo_storage
from pg_lo_storage import contrib, exceptions

ROOT = Path(__file__).parents[1]
API = ROOT / "docs" / "api.md"
INTERNAL = {
    "__main__",
    "admin",
    "apps",
    "catalogue",
    "catalogued",
    "checks",
    "content_types",
    "contrib",
    "databases",
    "maintenance",
    "management",
    "migrations",
    "serving",
}

WITHOUT_DJANGO = [
    "aio",
    "contrib.fsspec",
    "contrib.sqlalchemy",
    "drivers",
    "exceptions",
    "http",
    "io",
    "names",
    "testing",
    "triggers",
    "transfer",
]
EXCEPTIONS = [
    "DriverNotFound",
    "LargeObjectConflict",
    "LargeObjectError",
    "LargeObjectExists",
    "LargeObjectNotFound",
    "LargeObjectPermissionDenied",
    "LargeObjectReadOnly",
    "LargeObjectTooLarge",
    "NoTransactionError",
    "StaleLargeObject",
]
BLOCKER = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
importlib.import_module({module!r})
"""


def import_without(module: str, *blocked: str) -> str:
    """Import a module where others cannot be; return what Python says on its standard error."""
    program = BLOCKER.format(module=module, blocked=blocked)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return done.stderr


@pytest.mark.once
@pytest.mark.parametrize("module", WITHOUT_DJANGO)
def test_plain_users_need_neither_django_nor_a_driver(module: str) -> None:
    assert import_without(f"pg_lo_storage.{module}", "django", "psycopg", "psycopg2") == ""


@pytest.mark.once
@pytest.mark.parametrize(
    "module", ["storage", "fields", "lifecycle", "operations.operations", "views", "databases.driver"]
)
def test_what_is_for_django_needs_it(module: str) -> None:
    assert import_without(f"pg_lo_storage.{module}") == ""
    assert "No module named 'django" in import_without(f"pg_lo_storage.{module}", "django")


@pytest.mark.once
@pytest.mark.parametrize("module", ["aio", "drivers", "testing"])
def test_all_names_of_a_module_can_be_imported_whatever_is_not_installed(module: str) -> None:
    program = BLOCKER.format(module="typing", blocked=("django", "psycopg", "psycopg2", "pytest", "_pytest"))
    program += f"from pg_lo_storage.{module} import *\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_every_promised_exception_exists(name: str) -> None:
    assert issubclass(getattr(exceptions, name), exceptions.LargeObjectError)
    assert name in exceptions.__all__


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("drivers", ["AccessMode", "DriverNotFound", "LargeObject", "LargeObjectDriver", "SQLExecutor"]),
        ("drivers", ["get_driver", "register_driver"]),
        ("io", ["LargeObjectIO"]),
        ("aio", ["AsyncLargeObject", "AsyncLargeObjectDriver", "AsyncLargeObjectIO", "AsyncSQLExecutor"]),
        ("aio", ["get_async_driver", "register_async_driver"]),
        ("transfer", ["copy", "lo_export", "lo_import", "load", "open", "save"]),
        ("names", ["make_name", "parse_name"]),
    ],
)
def test_every_promised_name_is_exported(module: str, names: list[str]) -> None:
    found = importlib.import_module(f"pg_lo_storage.{module}")
    for name in names:
        assert name in found.__all__
        assert hasattr(found, name)


def test_the_testing_module_has_no_other_names() -> None:
    testing = importlib.import_module("pg_lo_storage.testing")
    with pytest.raises(AttributeError, match=r"'pg_lo_storage\.testing' has no attribute 'Nothing'"):
        testing.Nothing  # noqa: B018


def documented() -> dict[str, list[str]]:
    """Return the names that docs/api.md lists, by module."""
    sections = re.split(r"^#+ (.+)$", API.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        heading.strip("`"): re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)
        for heading, text in zip(sections[::2], sections[1::2], strict=True)
        if heading.startswith("`pg_lo_storage")
    }


def can_be_imported(name: str) -> bool:
    """Tell of a public name whether its driver is installed, where it needs one."""
    driver = {"Psycopg3Driver": "psycopg", "Psycopg3AsyncDriver": "psycopg", "Psycopg2Driver": "psycopg2"}.get(name)
    return driver is None or find_spec(driver) is not None


@pytest.mark.parametrize("module", documented())
def test_what_a_module_exports_is_what_is_documented(module: str) -> None:
    found = importlib.import_module(module)
    assert sorted(filter(can_be_imported, documented()[module])) == sorted(found.__all__)
    assert all(hasattr(found, name) for name in found.__all__)


def test_every_module_is_documented_or_internal() -> None:
    modules = {
        f"{package.__name__}.{module.name}"
        for package in (pg_lo_storage, contrib)
        for module in pkgutil.iter_modules(package.__path__)
    }
    internal = {f"pg_lo_storage.{name}" for name in INTERNAL}
    assert modules == (internal | set(documented())) - {"pg_lo_storage"}
    assert not internal & set(documented())


def test_the_api_does_not_change_without_a_line_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.split(r"^## ", changelog, flags=re.MULTILINE)[1]
    lines = sorted(f"{module}.{name}\n" for module, names in documented().items() for name in names)
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()[:8]
    assert f"`{digest}`" in newest, f"say what changed, and that the API of docs/api.md is now `{digest}`"


def test_every_public_name_is_explained_to_users() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(page for page in API.parent.glob("*.md") if page != API)]
    texts = [page.read_text(encoding="utf-8") for page in pages]
    words = set(re.findall(r"\w+", " ".join(texts)))
    assert {name for names in documented().values() for name in names} - words == set()
