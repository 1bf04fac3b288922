"""Broken copies of the library, each in one place: the races have to notice."""

from collections.abc import Callable, Collection, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final

from django.apps.registry import Apps
from django.db import transaction

from pg_lo_storage import catalogue
from pg_lo_storage.databases import DatabaseDriver, references
from pg_lo_storage.lifecycle import leaving, saves, sharing
from pg_lo_storage.names import parse_name
from tests.faults import racers

__all__ = ["MUTANTS", "Mutant"]


@dataclass(frozen=True)
class Mutant:
    """A change of the library, and the world in which it does harm."""

    world: str
    apply: Callable[[], None]


def replaced(owner: Any, name: str, value: object) -> Callable[[], None]:
    """Return what puts a function in the place of another."""
    assert callable(getattr(owner, name))
    return lambda: setattr(owner, name, value)


def rewritten(function: str, before: str, after: str) -> Callable[[], None]:
    """Return what changes the text of a trigger's function."""
    return lambda: racers.change_function(function, before, after)


def sent_without(owner: Any, name: str, *clauses: str) -> Callable[[], None]:
    """Return what has a function send its SQL without these clauses."""

    def apply() -> None:
        function = getattr(owner, name)

        def run_mutated(database: DatabaseDriver, *arguments: Any, **options: Any) -> Any:
            run = database.run

            def run_without(query: Any, *rest: Any, **more: Any) -> Any:
                assert any(clause in query for clause in clauses)
                for clause in clauses:
                    query = query.replace(clause, "")
                return run(query, *rest, **more)

            vars(database)["run"] = run_without
            try:
                return function(database, *arguments, **options)
            finally:
                del vars(database)["run"]

        setattr(owner, name, run_mutated)

    return apply


def held_without_a_look(_alias: str, names: Iterable[str]) -> set[str]:
    return {name for name in names if parse_name(name) is not None}


def read_unlocked(rows: Any, *attributes: str) -> list[tuple[Any, ...]]:
    return list(rows.values_list(*attributes))


def none_referenced(*_arguments: object, **_options: object) -> set[int]:
    return set()


def searched_before_locked(
    alias: str, names: Iterable[str], *registries: Apps, using: str | None = None, besides: Any = None
) -> None:
    """Look for rows that name the files, and then lock them; what was committed in between is not seen."""
    wanted = {oid for name in names if (oid := parse_name(name)) is not None}
    database = DatabaseDriver(alias)
    with transaction.atomic(using=alias, savepoint=False):
        gone = wanted - references.referenced(alias, wanted, *registries, using=using, besides=besides)
        catalogue.lock(database, gone)
        catalogue.unlink(database, gone)


def not_marked(database: DatabaseDriver, loid: int) -> bool:
    return database.exists(loid)


def never_repeated(*_arguments: object) -> Any:
    return nullcontext()


# Looks for objects, and locks nothing.
_EXISTING: Final[Callable[[DatabaseDriver, Collection[int]], tuple[str, dict[int, None]]]] = vars(sharing)["_existing"]


def held_unlocked(database: DatabaseDriver, oids: Collection[int]) -> dict[int, None]:
    return _EXISTING(database, oids)[1]


def see_by_any_snapshot() -> None:
    """Unlink whatever the isolation level is: a snapshot of a whole transaction does not show who names the file."""
    vars(sharing)["_SEEING"].update({"repeatable read", "serializable"})


SEEING: Final = "current_setting('transaction_isolation') not in ('read committed', 'read uncommitted')"
SHARED_LOCK: Final = "perform pg_advisory_xact_lock_shared(name_lock, (loid::int8 - 2147483648)::int4)"
FIRST: Final = "if tg_op = 'UPDATE' then\n        --"

MUTANTS: Final = {
    "no hold": Mutant("fields", replaced(sharing, "hold", held_without_a_look)),
    "held without a lock": Mutant("fields", sent_without(catalogue, "hold", " for key share")),
    "held without a lock, bare": Mutant("fields, bare", replaced(sharing, "_hold_oids", held_unlocked)),
    "no row lock": Mutant("fields", replaced(saves, "locked", read_unlocked)),
    "no search": Mutant("fields", replaced(sharing, "referenced", none_referenced)),
    "no search, bare": Mutant("fields, bare", replaced(sharing, "referenced", none_referenced)),
    "searched before locked": Mutant("fields", replaced(leaving, "release", searched_before_locked)),
    "no lock before the search": Mutant("fields", replaced(catalogue, "lock", catalogue.extensions)),
    "no lock before the search, bare": Mutant("fields, bare", replaced(sharing, "_lock_oids", _EXISTING)),
    "no mark where written": Mutant("fields", replaced(catalogue, "mark_written", not_marked)),
    "no repeated update": Mutant("fields", replaced(saves, "repeating_update_of", never_repeated)),
    "old snapshot": Mutant("repeatable read", see_by_any_snapshot),
    "no guard": Mutant(
        "triggers",
        rewritten("guard", "if tg_op = 'UPDATE' then\n        --", "return null; if tg_op = 'UPDATE' then\n        --"),
    ),
    "triggers hold without a lock, bare": Mutant("triggers, bare", rewritten("settle", SHARED_LOCK, "perform 1")),
    "triggers unlink by an old snapshot": Mutant("repeatable read", rewritten("settle", SEEING, "false")),
}
