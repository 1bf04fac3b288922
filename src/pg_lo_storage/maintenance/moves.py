"""Files of a field move from one place to another, and the rows that name them get their new names.

Rows are looked through in the order of their keys. The rows of a file are locked, the file is copied, read again at
its new place and compared, and its rows get the new name, all in one transaction; a transaction has the files of about
half a second. A large object is deleted at its old place with that transaction, any other file after its commit, and
neither while a row names it. So whenever a run ends, each row names a whole file at one of the places, and the next run
goes on. What may be left is a copy too many: large objects of a transaction that did not commit are gone with it;
another storage's copy is taken by the next run, where its row's file is to have the same name again; an old file whose
deletion did not come to pass stays.
"""

import posixpath
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, cast

from django.db import Error, connections, models, transaction
from django.db.models import Q, Value
from django.utils import timezone

from pg_lo_storage.databases.file_fields import rows_of
from pg_lo_storage.databases.locking import locked, see_what_is_committed
from pg_lo_storage.lifecycle.expecting import expect
from pg_lo_storage.lifecycle.old_files import delete_unnamed
from pg_lo_storage.maintenance.move_places import (
    Elsewhere,
    Hashed,
    LargeObjects,
    Original,
    Place,
    digest_of,
    usable_name,
)
from pg_lo_storage.names import parse_name

if TYPE_CHECKING:
    from django.core.files import File

    _Rows: TypeAlias = models.QuerySet[models.Model]

__all__ = ["BATCH", "FileMove", "Outcome", "Step", "key_in", "keys_of"]

BATCH: Final = 200
"""How many rows are looked at together."""

_SECONDS: Final = 0.5
_BYTES: Final = 16 * 1024 * 1024
"""After so long, or so much, a transaction is committed: its rows are locked for as long."""

PATIENCE: float = 5
"""So many seconds a row is waited for that another transaction has locked: meanwhile others wait for ours."""

Outcome: TypeAlias = Literal["moved", "there", "missing", "ambiguous", "failed"]


class Step(NamedTuple):
    """What became of a file: ``detail`` says why it did not move, or why its source stays."""

    outcome: Outcome
    rows: tuple[object, ...]
    """The primary keys of the rows that name it, as far as the move is about them."""
    name: str
    new_name: str = ""
    size: int = 0
    detail: str = ""


@dataclass
class FileMove:
    """A move of the files of ``field``, of the rows on ``using`` of ``model``.

    ``where`` is lookups as ``QuerySet.filter()`` takes them.
    """

    model: type[models.Model]
    field: "models.Field[Any, Any]"
    using: str
    source: Place
    target: Place
    where: Mapping[str, object] = dataclass_field(default_factory=dict[str, object])
    delete_source: bool = False

    def count(self) -> int:
        """Return how many rows there are to look at."""
        return self._rows.values("pk").distinct().count()

    def run(self) -> Iterator[Step]:
        """Move the files, and yield what became of each, after it is committed."""
        for page in self._pages():
            by_name = _by_name(page)
            there = self._there(by_name)
            yield from (Step("there", tuple(by_name[name]), name) for name in sorted(there))
            waiting = [name for name in by_name if name not in there]
            while waiting:
                yield from self._move_some(waiting, by_name)

    def examine(self) -> Iterator[Step]:
        """Change nothing, and yield what would become of each file, as far as can be told without reading it."""
        for page in self._pages():
            by_name = _by_name(page)
            there = self._there(by_name)
            for name, keys in by_name.items():
                yield self._examined(name, tuple(keys), is_there=name in there)

    @property
    def _rows(self) -> "_Rows":
        rows = rows_of(self.model, self.using).filter(**self.where)
        return rows.exclude(**{f"{self.field.name}__isnull": True}).exclude(**{self.field.name: ""})

    def _pages(self) -> "Iterator[list[tuple[object, str]]]":
        keys = keys_of(self.model)
        page = self._rows.order_by("pk").values_list(*keys, self.field.name).distinct()
        found = list(page[:BATCH])
        while found:
            named = [(key_in(row[: len(keys)]), cast("str", row[-1])) for row in found]
            yield named
            found = list(page.filter(pk__gt=named[-1][0])[:BATCH])

    def _there(self, by_name: Collection[str]) -> set[str]:
        """Return those names that are of files at the new place."""
        if isinstance(self.source, LargeObjects):
            elsewhere = set(by_name) - self.source.among(list(by_name), self.target)
            return {name for name in elsewhere if self.target.has(name)}
        if isinstance(self.target, LargeObjects):
            return self.target.among(list(by_name), self.source)
        return {name for name in by_name if not self.source.has(name) and self.target.has(name)}

    def _examined(self, name: str, keys: tuple[object, ...], *, is_there: bool) -> Step:
        if is_there:
            if isinstance(self.target, LargeObjects) and self.source.has(name):
                detail = "both a stored file and one at the old place have this name: the row gets the stored one"
                return Step("ambiguous", keys, name, detail=detail)
            return Step("there", keys, name)
        if not self.source.has(name):
            return Step("missing", keys, name, detail="there is no such file")
        return Step("moved", keys, name, size=self.source.size(name))

    def _move_some(self, waiting: list[str], by_name: "Mapping[str, list[object]]") -> list[Step]:
        """Take names off the list, and move their files in one transaction; return what became of them."""
        steps: list[Step] = []
        began, size = time.monotonic(), 0
        # The files are committed first, where they are on another database: a row never names what is not there.
        with ExitStack() as transactions:
            for alias in self._aliases:
                transactions.enter_context(transaction.atomic(using=alias, durable=True))
                see_what_is_committed(alias, PATIENCE)
            while waiting and size < _BYTES and time.monotonic() - began < _SECONDS:
                name = waiting.pop(0)
                step = self._move(name, by_name[name])
                size += step.size
                steps.append(step)
            moved = [step.name for step in steps if step.outcome == "moved"]
            if self._unlinks and self._files_alias == self.using:
                cast("LargeObjects", self.source).release(moved, self.using)
        if self._unlinks and self._files_alias != self.using:
            with transaction.atomic(using=self._files_alias):
                cast("LargeObjects", self.source).release(moved, self.using)
        return [self._left(step) for step in steps]

    @property
    def _unlinks(self) -> bool:
        return self.delete_source and isinstance(self.source, LargeObjects)

    @property
    def _aliases(self) -> list[str]:
        """The databases of the rows and, if that is another, of the large objects."""
        return list(dict.fromkeys((self.using, self._files_alias)))

    @property
    def _files_alias(self) -> str:
        """The database of the large objects."""
        ends = (self.source, self.target)
        return next((end.alias for end in ends if isinstance(end, LargeObjects)), self.using)

    def _move(self, name: str, keys: "Sequence[object]") -> Step:
        """Move a file in the current transaction; what the database refuses for its rows undoes that of this file."""
        try:
            return self._move_one(name, keys)
        except Error as error:
            if any(connections[alias].needs_rollback for alias in self._aliases):
                raise  # as where the connection was lost
            return _failed(name, keys, error)

    def _move_one(self, name: str, keys: "Sequence[object]") -> Step:
        with ExitStack() as savepoints:
            for alias in self._aliases:
                savepoints.enter_context(transaction.atomic(using=alias))
            rows = rows_of(self.field.model, self.using).filter(self._is(name), pk__in=self._keys_of(name, keys))
            found = tuple(map(key_in, locked(rows.order_by("pk"), *keys_of(self.field.model))))
            if not found:
                return Step("there", tuple(keys), name, detail="the rows were changed meanwhile")
            return self._copy_to(rows, name, found)

    def _copy_to(self, rows: "_Rows", name: str, keys: tuple[object, ...]) -> Step:
        if not self.source.has(name):
            return Step("missing", keys, name, detail="there is no such file")
        try:
            with transaction.atomic(using=self._files_alias):
                new_name, size = self._copied(name, rows)
        except Error:
            raise
        except Exception as error:  # noqa: BLE001 -- each storage has errors of its own
            return _failed(name, keys, error)
        self._rename(rows_of(self.field.model, self.using).filter(pk__in=keys), name, new_name)
        return Step("moved", keys, name, new_name, size)

    def _rename(self, rows: "_Rows", name: str, new_name: str) -> None:
        """Give the rows the new name. No field is asked, and no signal sent: of an image the dimensions stay."""
        if parse_name(name) is not None and connections[self.using].vendor == "postgresql":
            # Of such a name triggers take an old file for an object. What is to be unlinked is, once all have moved.
            expect(self.using, [name])
        if isinstance(self.source, LargeObjects):
            # Triggers let no name of another storage take a file's place before the row has given the file up.
            rows.update(**{self.field.name: _named(None if self.field.null else "")})
        rows.update(**{self.field.name: _named(new_name)}, **self._with_the_name())

    def _copied(self, name: str, rows: "_Rows") -> tuple[str, int]:
        with self.source.open(name) as file:
            return self._stored(file, self.source.about(name, file), rows)

    def _stored(self, file: "File[bytes]", original: Original, rows: "_Rows") -> tuple[str, int]:
        """Store an opened file, and compare what is there now; return its name and its size in bytes."""
        content = Hashed(file)

        def wanted() -> str:
            return original.path or self._wanted(rows, original)

        new_name = self.target.save(content, original, wanted, vars(self.field)["max_length"])
        read = content.hexdigest() if content.size else content.read_through()
        stored = digest_of(self.target, new_name)
        if stored != read or original.sha256 not in {None, read}:
            if isinstance(self.target, Elsewhere):
                self.target.storage.delete(new_name)  # of large objects nothing stays
            message = f"{new_name!r} is not what was read: SHA-256 {stored}, not {original.sha256 or read}"
            raise ValueError(message)
        return new_name, content.size

    def _wanted(self, rows: "_Rows", original: Original) -> str:
        """Return the name that the field's ``upload_to`` gives, with the date of the file for that of today."""
        upload_to: Any = getattr(self.field, "upload_to", "")
        name = usable_name(original.name) or "file"
        if callable(upload_to):
            return str(upload_to(rows[0], name))
        moment = original.created or datetime.now(UTC)
        local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
        return posixpath.join(local.strftime(str(upload_to)), name)

    def _with_the_name(self) -> dict[str, object]:
        """Return what else the rows get in the same statement, by field."""
        return {}

    def _keys_of(self, name: str, keys: "Collection[object]") -> "list[object]":
        """Return the keys of all rows that name the file: those of the page, and later ones."""
        later = self._rows.filter(self._is(name)).values_list(*keys_of(self.model))
        return list(dict.fromkeys([*keys, *map(key_in, later)]))

    def _is(self, name: str) -> Q:
        return Q(**{self.field.name: name})

    def _left(self, step: Step) -> Step:
        """Delete what has moved from its old place, where that is asked for, and no row names it."""
        if step.outcome != "moved" or not self.delete_source or not isinstance(self.source, Elsewhere):
            return step
        if step.name == step.new_name and self.source.storage is getattr(self.target, "storage", None):
            return step
        try:
            is_gone = delete_unnamed(self.using, self.source.storage, step.name)
        except Exception as error:  # noqa: BLE001 -- each storage has errors of its own
            return step._replace(detail=f"the old file stays: {type(error).__name__}: {error}")
        return step if is_gone else step._replace(detail="the old file stays: other rows name it")


def keys_of(model: type[models.Model]) -> list[str]:
    """Return the attributes that make a row's key."""
    return [part.attname for part in model._meta.pk_fields]


def key_in(values: tuple[Any, ...]) -> object:
    """Return the key that is made of the values; a tuple where it has several."""
    return next(iter(values)) if len(values) == 1 else values


def _failed(name: str, keys: "Sequence[object]", error: Exception) -> Step:
    return Step("failed", tuple(keys), name, detail=" ".join(f"{type(error).__name__}: {error}".split()))


def _named(name: str | None) -> Value:
    return Value(name, output_field=models.TextField())


def _by_name(page: "list[tuple[object, str]]") -> "dict[str, list[object]]":
    by_name: dict[str, list[object]] = {}
    for key, name in page:
        by_name.setdefault(name, []).append(key)
    return by_name
