"""The files of rows that are erased: what was known of each, and what became of it."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from dataclasses import field as dataclass_field
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal, NamedTuple, Self, TypeAlias, cast

from django.apps import apps
from django.core.files.storage import Storage
from django.db import models

from pg_lo_storage import catalogue
from pg_lo_storage.catalogue import as_array
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.columns import ask
from pg_lo_storage.databases.file_fields import concrete, legacy_of, write_alias_of
from pg_lo_storage.databases.references import referring_field, referring_paths
from pg_lo_storage.drivers.base import Sink
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.lifecycle.old_files import delete_unnamed, transitional
from pg_lo_storage.maintenance.digests import Pace, digest_of
from pg_lo_storage.maintenance.files import KnownFile, known
from pg_lo_storage.maintenance.uses import Row, naming_columns, rows_in_oid_columns, rows_that_name
from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import elsewhere

__all__ = ["Cell", "Erased", "Files", "cells_of", "delete_old", "judged", "naming_fields"]

State: TypeAlias = Literal["erased", "kept", "missing", "left"]
"""Unlinked; still there, as something names it; not there before either; of another storage, which was not asked."""

_MOST_NAMED: Final = 10
"""So many rows of those that keep a file are told."""

_UNKNOWN: Final = "a field's default, a row on another database or one that the role cannot read may name it"


class Cell(NamedTuple):
    """A row's column that names a file; ``database`` is the file's, empty for a file of another storage.

    ``field`` is the label of a field whose file is still at the old place of its transitional storage, else empty.
    """

    table: str
    column: str
    key: str
    name: str
    database: str
    field: str = ""


@dataclass(frozen=True)
class Erased:
    """A file that erased rows named; where nothing is known of it, all is ``None`` but ``name``."""

    database: str
    name: str
    oid: int | None
    field: str = ""
    state: State = "erased"
    why: str = ""
    rows: list[tuple[str, str, str]] = dataclass_field(default_factory=list[tuple[str, str, str]])
    """Table, column and key of the rows that were erased."""
    original_name: str | None = None
    content_type: str | None = None
    size: int | None = None
    sha256: str | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None

    def as_record(self) -> dict[str, object]:
        """Return it for a line of JSON."""
        return asdict(self)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """Make it of a line of JSON, from which times come as texts."""
        return cls(**record)


class Files:
    """The files of rows on one database; ``with_digests`` reads those whose digest is not known."""

    def __init__(self, alias: str, *, with_digests: bool) -> None:
        self._alias = alias
        self._with_digests = with_digests

    def known(self, cells: Iterable[Cell], *, lock: bool = False) -> list[Erased]:
        """Return the files that are named, each with what is known of it; ``lock`` has nobody write into them."""
        rows: defaultdict[tuple[str, str, str], list[tuple[str, str, str]]] = defaultdict(list)
        for cell in cells:
            rows[cell.database, cell.name, cell.field].append(cell[:3])
        found: dict[str, dict[int, KnownFile]] = {}
        for alias in {alias for alias, _, _ in rows} - {""}:
            oids = {oid for there, name, _ in rows if there == alias and (oid := parse_name(name)) is not None}
            if lock and alias == self._alias and catalogue.is_installed():
                catalogue.lock(DatabaseDriver(alias), oids)
            found[alias] = {file.oid: file for file in known(alias, oids)}
        return [
            self._old(Erased("", name, None, field, rows=where))
            if field
            else self._of(Erased(alias, name, parse_name(name) if alias else None, rows=where), found.get(alias, {}))
            for (alias, name, field), where in sorted(rows.items())
        ]

    def expected(self, cells: Collection[Cell]) -> list[Erased]:
        """Return the files that are named, and what would become of them if these rows went."""
        return _kept(self.known(cells), self._alias, {cell[:3] for cell in cells})

    def _old(self, file: Erased) -> Erased:
        """Say what is known of a file at its old place."""
        legacy = _legacy_of(file.field)
        size, sha256 = elsewhere.size_of(legacy, file.name), None
        if self._with_digests:
            with legacy.open(file.name) as content:
                digest = hashlib.sha256()
                for block in content.chunks():
                    digest.update(block)
                sha256 = digest.hexdigest()
        return replace(file, size=size, sha256=sha256, modified_at=elsewhere.modified_at(legacy, file.name))

    def _of(self, file: Erased, found: Mapping[int, KnownFile]) -> Erased:
        if file.oid is None:
            return replace(file, state="left", why="another storage has it")
        what = found[file.oid]
        if what.role is None:
            return replace(file, state="missing", why="there is no such file")
        if catalogue.is_installed() and what.name is None:
            return replace(file, state="left", why="it is another application's object: the catalogue has no such file")
        sha256 = what.sha256
        if sha256 is None and self._with_digests:
            _, sha256 = digest_of(partial(_read, DatabaseDriver(file.database), what.oid), Pace())
        return replace(
            file,
            original_name=what.original_name,
            content_type=what.content_type,
            size=what.size,
            sha256=sha256,
            created_at=what.created_at,
            modified_at=what.modified_at,
        )


def naming_fields(model: type[models.Model]) -> "list[models.Field[Any, Any]]":
    """Return the fields of the model's own table that name files: file fields, and those that the project lists."""
    listed = {referring_field(path) for path in referring_paths()}
    fields = concrete(model)._meta.local_concrete_fields
    return [each for each in fields if isinstance(each, models.FileField) or each in listed]


def cells_of(rows: "models.QuerySet[Any]", alias: str, *, lock: bool) -> list[Cell]:
    """Return the names in the rows on a database; ``lock`` keeps them from being changed."""
    fields = naming_fields(rows.model)
    if not fields:
        return []
    query = rows.order_by("pk").select_for_update() if lock else rows
    cells: list[Cell] = []
    for pk, *names in query.values_list("pk", *(each.attname for each in fields)):
        for each, value in zip(fields, names, strict=True):
            name = "" if value is None else str(value)
            if name and (isinstance(each, models.FileField) or parse_name(name) is not None):
                place = each.model._meta.db_table, str(each.column), key_of(pk)
                cells.append(Cell(*place, name, *_place_of(each, name, alias)))
    return cells


def key_of(pk: object) -> str:
    """Return a primary key as text."""
    return ", ".join(map(str, cast("tuple[object, ...]", pk))) if isinstance(pk, tuple) else str(pk)


def judged(files: Iterable[Erased], alias: str) -> list[Erased]:
    """Look which files of a database are gone now, and what keeps the others."""
    files = list(files)
    asked = {file.oid for file in files if file.database == alias and file.state in {"erased", "kept"}}
    query = "select oid::int8 from pg_largeobject_metadata where oid = any(%s::text::oid[])"
    rows = ask(alias, query, as_array(oid for oid in asked if oid is not None)) if asked else []
    there = {int(oid) for (oid,) in rows}
    gone = [replace(file, state="erased", why="") if file.oid in asked - there else file for file in files]
    return _kept(gone, alias, set(), there)


def _kept(
    files: list[Erased], alias: str, besides: set[tuple[str, str, str]], there: set[int] | None = None
) -> list[Erased]:
    """Say of the files on a database that are ``there`` what names them; else of those that other rows name."""
    oids = {file.oid for file in files if file.database == alias and file.state in {"erased", "kept"} and file.oid}
    oids &= oids if there is None else there
    if not oids:
        return files
    columns, _ = naming_columns(alias)
    rows: defaultdict[int | None, list[Row]] = defaultdict(list)
    for row in (*rows_that_name(columns, oids), *rows_in_oid_columns(alias, columns, oids)):
        if (row.table, row.column, row.key) not in besides:
            rows[row.oid].append(row)

    def why(oid: int | None) -> str:
        named = [f"{row.table} {row.key or '?'} {row.column}" for row in rows[oid]]
        more = f", and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        return f"named by {', '.join(named[:_MOST_NAMED])}{more}" if named else _UNKNOWN

    return [
        replace(file, state="kept", why=why(file.oid))
        if file.oid in oids and file.database == alias and (there is not None or rows[file.oid])
        else file
        for file in files
    ]


def delete_old(files: Iterable[Erased], using: str) -> list[Erased]:
    """Delete those at their old place, now that the rows on ``using`` are gone; say which another row names."""
    done: list[Erased] = []
    for file in files:
        if file.field and elsewhere.exists(legacy := _legacy_of(file.field), file.name):
            gone = delete_unnamed(using, legacy, file.name)
            done.append(replace(file, state="erased" if gone else "kept", why="" if gone else _UNKNOWN))
        else:
            done.append(file)
    return done


def _place_of(naming: "models.Field[Any, Any]", name: str, alias: str) -> tuple[str, str]:
    """Return the database of the file that a field's column names, and the field's label where it is an old file."""
    if not isinstance(naming, models.FileField):
        return alias, ""
    storage = transitional(naming)
    if storage is not None and storage.old_among([name]) and elsewhere.exists(_legacy(naming), name):
        return "", f"{naming.model._meta.label}.{naming.name}"
    return (write_alias_of(naming, alias) or "", "") if parse_name(name) is not None else ("", "")


def _legacy_of(label: str) -> Storage:
    app, model, name = label.split(".")
    return _legacy(apps.get_model(app, model)._meta.get_field(name))


def _legacy(naming: object) -> Storage:
    return cast("Storage", legacy_of(cast("models.FileField", naming)))


def _read(database: DatabaseDriver, oid: int, offset: int, sink: Sink) -> None:
    database.stream(oid, offset, Pace().step, sink, BLOCK)
