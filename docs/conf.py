"""How Sphinx makes HTML of these pages: ``uv run just docs``."""

import ast
import inspect
import pkgutil
import posixpath
import re
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from docutils.nodes import TextElement
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import stringify_signature
from sphinx.util.nodes import make_refnode

ROOT = Path(__file__).resolve().parents[1]
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = METADATA["urls"]["Repository"]
# A link to what is in the repository and no page: on GitHub it works as it is.
OUTSIDE = re.compile(r"(?<!!)(\[[^\]]*\]\()((?:\.\./)+[^)#\s]+)")
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
# What each public module has, by name, in the order of docs/api.md.
DOORS = {
    module: dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE))
    for module, text in re.findall(r"^### `(pg_lo_storage[\w.]*)`$(.*?)(?=^##|\Z)", API, re.MULTILINE | re.DOTALL)
}

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "pg_lo_storage"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql"}},
)
django.setup()
PUBLIC = [getattr(import_module(door), name) for door, names in DOORS.items() for name in names]
OTHERS_ATTRIBUTES = {
    name
    for found in PUBLIC
    for base in getattr(found, "__mro__", ())
    if not base.__module__.startswith(("pg_lo_storage", "builtins", "typing"))
    for name, value in vars(base).items()
    if not callable(value)
}

project = "pg-lo-storage"
author = "pg-lo-storage contributors"
version = release = METADATA["version"]
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 4
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100
autodoc_default_options = {"show-inheritance": True}
nitpicky = True

html_theme = "furo"
html_title = f"{project} {version}"
html_show_copyright = False
html_theme_options = {
    "source_repository": REPOSITORY,
    "source_branch": "main",
    "source_directory": "docs/",
}


def link_to_the_repository(_app: Sphinx, page: str, source: list[str]) -> None:
    """Have links that leave the folder of the pages lead to the repository's site."""

    def url(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link[2]))
        return link[0] if path.startswith("docs/") else f"{link[1]}{REPOSITORY}/blob/main/{path}"

    source[0] = OUTSIDE.sub(url, source[0])


def list_names(_app: Sphinx, page: str, source: list[str]) -> None:
    """Put the names of docs/api.md after a module's docstring, with their own."""
    if not page.startswith("reference/"):
        return
    door = re.findall(r"automodule:: (\S+)", source[0])[0]
    for name, line in DOORS[door].items():
        found = getattr(import_module(door), name)
        if isinstance(found, type):
            kind = "exception" if issubclass(found, Exception) else "class"
            directive = f".. auto{kind}:: {door}.{name}\n   :members:\n   :undoc-members:\n   :inherited-members:"
        elif inspect.isfunction(found):
            directive = f".. autofunction:: {door}.{name}"
        else:
            directive = f".. py:data:: {name}\n   :module: {door}\n\n   {line[0].upper()}{line[1:]}.".replace("`", "``")
        if not line.startswith("also in "):
            source[0] += f"\n```{{eval-rst}}\n{directive}\n```\n"


def leave_out_what_others_define(
    _app: Sphinx, _kind: str, name: str, obj: Any, skip: bool, _options: object
) -> bool | None:
    """Leave out what a class has from another package, and values of that package's attributes."""
    obj = getattr(obj, "fget", obj)
    if not (callable(obj) or hasattr(obj, "__objclass__")):
        return True if skip or name.rpartition(".")[2] in OTHERS_ATTRIBUTES else None
    module = getattr(obj, "__module__", None) or getattr(getattr(obj, "__objclass__", None), "__module__", "")
    return True if skip or not module.startswith("pg_lo_storage") else None


def name_what_is_overridden(_app: Sphinx, kind: str, name: str, obj: Any, _options: object, lines: list[str]) -> None:
    """Put the name of the class in the place of a docstring that another package has for its own method."""
    if kind not in {"method", "property"} or getattr(obj, "__doc__", None):
        return
    owner, _, member = name.rpartition(".")
    for base in pkgutil.resolve_name(owner).__mro__:
        if member in vars(base) and (vars(base)[member].__doc__ or not is_ours(base)):
            if not is_ours(base):
                lines[:] = [f"See ``{base.__module__.lstrip('_')}.{base.__qualname__}``."]
            return


def sign(
    _app: Sphinx, kind: str, _name: str, obj: Any, _options: object, signature: str | None, _returns: str | None
) -> tuple[str, None] | None:
    """Tell of a class what its ``__init__`` takes, where a ``__new__`` of another package takes anything."""
    if kind != "class" or not (signature or "").startswith("(*args"):
        return None
    if getattr(obj, "_is_protocol", False):
        return "", None
    if obj.__init__ is object.__init__:
        return "()", None
    taken = inspect.signature(obj.__init__)
    parameters = list(taken.parameters.values())[1:]
    taken = taken.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
    return stringify_signature(taken, short_literals=True), None


def name_public_bases(_app: Sphinx, _name: str, _obj: object, _options: object, bases: list[Any]) -> None:
    """Put in the place of an internal class what it is made of."""

    def public(base: Any) -> list[Any]:
        if not isinstance(base, type) or not is_ours(base) or base.__module__ in DOORS:
            return [base]
        return [found for part in base.__bases__ for found in public(part)]

    bases[:] = dict.fromkeys(found for base in bases for found in public(base) if found is not object) or [object]


def is_ours(found: type) -> bool:
    """Tell whether a class is of this package."""
    return found.__module__.startswith("pg_lo_storage")


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: TextElement) -> TextElement | None:
    """Find a name where it is public, whichever module the text calls it by; leave others as text if they are there."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"].partition("[")[0]
    for length in (2, 1):
        last = "." + ".".join(target.split(".")[-length:])
        for name, found in env.domains.python_domain.objects.items():
            if name.endswith(last):
                return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, content, name)
    return content if is_there(target) else None


@cache
def is_there(name: str) -> bool:
    """Tell whether a name can be imported, or is imported somewhere in the package."""
    if name.partition(".")[0] in imported():
        return True
    for candidate in (name, f"builtins.{name}"):
        try:
            pkgutil.resolve_name(candidate)
        except (AttributeError, ImportError, ValueError):
            continue
        return True
    return False


@cache
def imported() -> set[str]:
    """Return the names that modules of the package import, type checkers' too."""
    return {
        alias.asname or alias.name
        for path in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def setup(app: Sphinx) -> None:
    """Register what this file adds to Sphinx."""
    app.connect("source-read", link_to_the_repository)
    app.connect("source-read", list_names)
    app.connect("autodoc-skip-member", leave_out_what_others_define)
    app.connect("autodoc-process-signature", sign)
    app.connect("autodoc-process-bases", name_public_bases)
    app.connect("autodoc-process-docstring", name_what_is_overridden)
    app.connect("missing-reference", resolve)
