"""Random histories for :mod:`.worlds`, and the shortest that goes wrong in the same way."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, cast

from django.db import models

from tests.lifecycle.worlds import KINDS, Operation, Violation, World

__all__ = ["Failure", "History", "play", "random_history", "shortest"]

_SLOTS: Final = 4
_PLACES: Final = 3


class History(NamedTuple):
    """Rows of some kinds, none of which is there yet, and what is done to them."""

    kinds: tuple[type[models.Model], ...]
    operations: tuple[Operation, ...]

    def __str__(self) -> str:
        kinds = ", ".join(f"row {place} is a {kind.__name__}" for place, kind in enumerate(self.kinds))
        return "\n".join([kinds, *(f"  {describe(operation)}" for operation in self.operations)])


_TEXTS: Final = {
    "enter": "{0:session} begins a block",
    "leave": "{0:session} ends its block, {1:end}",
    "new": "{1:slot} = new instance for {2:row}, in {0:session}",
    "new_of_key": "{1:slot} = new instance with the key of {2:row}, in {0:session}",
    "get": "{1:slot} = {2:row} as loaded{3:how} in {0:session}",
    "copy": "{1:slot} = copy.copy({0:slot})",
    "duplicate": "{1:slot} = copy.copy({0:slot}), with no key",
    "become_new": "{0:slot}.pk = None",
    "pickle": "{1:slot} = {0:slot} pickled, in {2:session}",
    "refresh": "{0:slot}.refresh_from_db()",
    "touch": "{0:slot}.{1:field} is looked at",
    "assign_upload": "{0:slot}.{1:field} = upload",
    "assign_none": "{0:slot}.{1:field} = None",
    "assign_name": "{0:slot}.{1:field} = {2:source}",
    "assign_file": "{0:slot}.{1:field} = {2:slot}.{3:field}",
    "move": "{0:slot}.{1:field}, {0:slot}.{2:field} = {0:slot}.{2:field}, None",
    "swap": "{0:slot}.{1:field}, {0:slot}.{2:field} = {0:slot}.{2:field}, {0:slot}.{1:field}",
    "save": "{0:slot}.title = ...; {0:slot}.save()",
    "save_field": "{0:slot}.save(update_fields=[{1:field}])",
    "save_other": "{0:slot}.save(update_fields=[title])",
    "fail": "{0:slot}.save() fails in post_save (whole: {1})",
    "file_save": "{0:slot}.{1:field}.save(upload, save={2:bool})",
    "file_delete": "{0:slot}.{1:field}.delete(save={2:bool})",
    "raw": "{0:slot}.save_base(raw=True)",
    "delete": "{0:slot}.delete()",
    "delete_query": "{1:row} is deleted by a query in {0:session}",
    "delete_all": "all rows of the kind of {1:row} are deleted by a query in {0:session}",
    "sql_delete": "{1:row} is deleted by SQL in {0:session}",
    "storage_delete": "storage.delete({1:source}) in {0:session}",
    "update": "{1:row}: update({2:field}={3:source}, as a file: {4:bool}) in {0:session}",
    "clear_all": "all rows of the kind of {1:row}: update({2:field}=None) in {0:session}",
    "bulk_update": "bulk_update([{0:slot}], [{1:field}])",
    "bulk_create": "bulk_create([{0:slot}]), of a copy with no key where its row is there",
    "get_or_create": "{1:slot} = get_or_create({2:row}, {3:field}=upload) in {0:session}",
    "update_or_create": "{1:slot} = update_or_create({2:row}, {3:field}={4:source}) in {0:session}",
    "sql_update": "{1:row}: SQL sets {2:field} to {3:source} in {0:session}",
    "sql_insert": "{1:row} is inserted by SQL with {2:source} in {0:session}",
}
_HOW: Final = ("", " as a proxy or parent", ".defer(f0)", ".only(f0)", ".defer(last)", ".only(pk)")


class _Argument:
    """A number, formatted as what it stands for."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __format__(self, spec: str) -> str:
        value = self._value
        if isinstance(value, tuple):
            kind, one, two = cast("tuple[str, int, int]", value)
            return {
                "none": "None",
                "upload": "upload",
                "of": f"{'abcd'[one]}.f{two}.name",
                "now": f"what row {one} has in f{two}",
                "was": f"what row {one} had before in f{two}",
            }[kind]
        number = cast("int", value)
        return {
            "session": "AB"[number % 2],
            "slot": "abcd"[number % 4],
            "row": f"row {number}",
            "field": f"f{number}",
            "end": "committed" if number else "rolled back",
            "bool": str(bool(number)),
            "how": _HOW[number % len(_HOW)],
        }.get(spec, str(number))


def describe(operation: Operation) -> str:
    """Return what an operation does, for somebody to read; ``f1`` is a model's second file field."""
    name, *arguments = operation
    return _TEXTS[name].format(*map(_Argument, arguments))


class Failure(NamedTuple):
    """How a history went wrong."""

    history: History
    reason: str

    def __str__(self) -> str:
        return f"{self.history}\n  -> {self.reason}"


def _source(some: random.Random) -> Operation:
    kind = some.choice(["none", "of", "now", "now", "was", "was"])
    return (kind, some.randrange(_PLACES), some.randrange(3))


_GENERATORS: Final[dict[str, tuple[int, Callable[[random.Random], tuple[object, ...]]]]] = {}


def _random(weight: int, name: str, *ranges: int | Callable[[random.Random], object]) -> None:
    def arguments(some: random.Random) -> tuple[object, ...]:
        return tuple(some.randrange(part) if isinstance(part, int) else part(some) for part in ranges)

    _GENERATORS[name] = weight, arguments


def _slot(some: random.Random) -> int:
    return min(some.randrange(_SLOTS), some.randrange(_SLOTS))


def _session(some: random.Random) -> int:
    return int(some.random() < 0.3)


_random(6, "enter", _session)
_random(8, "leave", _session, lambda some: int(some.random() < 0.6))
_random(10, "new", _session, _slot, _PLACES)
_random(2, "new_of_key", _session, _slot, _PLACES)
_random(16, "get", _session, _slot, _PLACES, lambda some: some.choice([0, 0, 0, 0, 1, 2, 3, 4, 5]))
_random(2, "copy", _slot, _slot)
_random(3, "duplicate", _slot, _slot)
_random(2, "become_new", _slot)
_random(2, "pickle", _slot, _slot, _session)
_random(3, "refresh", _slot)
_random(3, "touch", _slot, 3)
_random(16, "assign_upload", _slot, 3)
_random(5, "assign_none", _slot, 3)
_random(8, "assign_name", _slot, 3, _source)
_random(6, "assign_file", _slot, 3, _slot, 3)
_random(4, "move", _slot, 3, 3)
_random(3, "swap", _slot, 3, 3)
_random(30, "save", _slot)
_random(4, "save_field", _slot, 3)
_random(3, "save_other", _slot)
_random(3, "fail", _slot, 2)
_random(10, "file_save", _slot, 3, 2)
_random(4, "file_delete", _slot, 3, 2)
_random(2, "raw", _slot)
_random(4, "delete", _slot)
_random(2, "delete_query", _session, _PLACES)
_random(1, "delete_all", _session, _PLACES)
_random(1, "sql_delete", _session, _PLACES)
_random(1, "storage_delete", _session, _source)
_random(5, "update", _session, _PLACES, 3, lambda some: ("of", _slot(some), some.randrange(3)), lambda _: 1)
_random(4, "update", _session, _PLACES, 3, _source, lambda _: 0)
_random(1, "clear_all", _session, _PLACES, 3)
_random(4, "bulk_update", _slot, lambda some: some.choice([0, 1, 2, 9]))
_random(3, "bulk_create", _slot)
_random(3, "get_or_create", _session, _slot, _PLACES, 3)
_random(
    4,
    "update_or_create",
    _session,
    _slot,
    _PLACES,
    3,
    lambda some: some.choice([("upload", 0, 0), _source(some)]),
)
_random(3, "sql_update", _session, _PLACES, 3, _source)
_random(1, "sql_insert", _session, _PLACES, _source)

_ENDS: Final = tuple(("leave", session, 1) for session in (0, 0, 1, 1))
_NAMES: Final = list(_GENERATORS)
_WEIGHTS: Final = [weight for weight, _ in _GENERATORS.values()]


def random_history(*seed: object, length: int = 30) -> History:
    """Return a history that is the same whenever it is asked for by these values."""
    some = random.Random(repr(seed))
    kinds = tuple(some.choices(KINDS, weights=[6, 5, 2, 2, 1, 1, 1], k=_PLACES))
    names = some.choices(_NAMES, weights=_WEIGHTS, k=length)
    return History(kinds, (*_begun(some), *((name, *_GENERATORS[name][1](some)) for name in names), *_ENDS))


def _begun(some: random.Random) -> Iterator[Operation]:
    """Yield what has rows and instances be there, in most histories."""
    for place in range(_PLACES):
        if some.random() < 0.8:
            yield ("update_or_create", 0, place, place, some.randrange(3), ("upload", 0, 0))
        if some.random() < 0.5:
            yield ("file_save", place, some.randrange(3), 1)
    if some.random() < 0.8:
        yield ("get", _session(some), some.randrange(_SLOTS), some.randrange(_PLACES), 0)


def play(world: World, history: History) -> Failure | None:
    """Do what the history says, up to where it goes wrong."""
    world.begin(history.kinds)
    for number, operation in enumerate(history.operations, 1):
        try:
            world.do(operation)
        except Violation as error:
            return Failure(History(history.kinds, history.operations[:number]), str(error))
        except Exception as error:  # noqa: BLE001 -- what no operation should raise
            return Failure(History(history.kinds, history.operations[:number]), f"{type(error).__name__}: {error}")
    return None


def shortest(world: World, failure: Failure) -> Failure:
    """Return a failure from which nothing can be left out, by leaving out ever smaller parts of the history."""
    size = max(1, len(failure.history.operations) // 2)
    while True:
        shorter = _without_some(world, failure, size)
        if shorter is not None:
            failure = shorter
            size = min(size, max(1, len(failure.history.operations) // 2))
        elif size == 1:
            return failure
        else:
            size //= 2


def _without_some(world: World, failure: Failure, size: int) -> Failure | None:
    kinds, operations = failure.history
    for start in reversed(range(0, len(operations) - 1, size)):
        rest = _without(operations, start, min(start + size, len(operations) - 1))
        if (shorter := play(world, History(kinds, rest))) is not None:
            return shorter
    return None


def _without(operations: Sequence[Operation], start: int, stop: int) -> tuple[Operation, ...]:
    return (*operations[:start], *operations[stop:])
