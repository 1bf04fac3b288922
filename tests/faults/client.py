"""Changes rows with files until something ends it, and writes down, synced to disk, what it knows to be done.

Reads a task as JSON from each line of standard input: ``seed``, ``log``, ``port``, and the ``rows`` that there are. A
child does it, which starts at once and may be killed; its process id is written, and a line when it has ended.
"""

import hashlib
import io
import json
import os
import random
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import django
from django.core.files.base import ContentFile, File
from django.core.management import CommandError, call_command
from django.db import Error, connections, transaction

if TYPE_CHECKING:
    from tests.invoices.models import Invoice

State: TypeAlias = tuple[str, bool]
"""The SHA-256 of a row's file, empty where it has none, and whether the catalogue has the file."""
Rows: TypeAlias = Mapping[int, State]
Changes: TypeAlias = dict[int, State | None]
Step: TypeAlias = tuple[Changes, Callable[[], object]]
"""What a call changes, and the call."""

NOTHING: Final[State] = ("", False)
MANY: Final = 12  # rows, from which on there are no more

# Below what is saved by one statement, and above it.
_SIZES: Final = (1, 5_000, 50_000, 300_000, 700_000)
_NAMES: Final = ("a.bin", "a.tar.gz", "none")


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def changed(rows: Rows, changes: Changes) -> dict[int, State]:
    """Return the rows as they are after the changes, ``None`` of a row that is gone."""
    return {pk: state for pk, state in {**rows, **changes}.items() if state is not None}


class Client:
    """Makes one change after another, each of which is wholly done or not at all."""

    def __init__(self, seed: str, log: str, rows: Rows) -> None:
        self._random = random.Random(seed)
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.rows = dict(rows)

    def write_down(self, record: object) -> None:
        os.write(self._log, json.dumps(record).encode() + b"\n")
        os.fsync(self._log)

    def step(self) -> None:
        stored = [pk for pk, state in self.rows.items() if state[1]]
        bare = [pk for pk, state in self.rows.items() if state[0] and not state[1]]
        known = [pk for pk in self.rows if pk not in bare]
        choices: dict[str, Callable[[], Step]] = {}
        if len(self.rows) < MANY:
            choices |= {"save": self._save, "insert": self._insert_bare}
        if bare:
            choices["adopt"] = lambda: self._adopt(bare)
        if known:
            # Of a file that the catalogue lacks, the object stays where the row is deleted.
            pk = self._random.choice(known)
            choices |= {"replace": lambda: self._replace(pk), "clear": lambda: self._clear(pk)}
            choices["delete"] = lambda: self._delete(pk)
        if stored:
            other = self._random.choice(stored)
            choices["write"] = lambda: self._write(other)
            if len(self.rows) < MANY:
                choices["copy"] = lambda: self._copy(other)
        what, prepare = self._random.choice([*choices.items()])
        changes, do = prepare()
        self.write_down({"what": what, "changes": [*changes.items()]})
        do()
        self.write_down({"done": True})
        self.rows = changed(self.rows, changes)

    def _data(self) -> bytes:
        return self._random.randbytes(self._random.choice(_SIZES))

    def _new(self) -> "Invoice":
        from tests.invoices.models import Invoice

        return Invoice(pk=self._random.randrange(10**12))

    def _old(self, pk: int) -> "Invoice":
        from tests.invoices.models import Invoice

        return Invoice.objects.get(pk=pk)

    def _save(self) -> Step:
        return self._put(self._new(), force_insert=True)

    def _replace(self, pk: int) -> Step:
        return self._put(self._old(pk))

    def _put(self, row: "Invoice", *, force_insert: bool = False) -> Step:
        data = self._data()
        row.data = ContentFile(data, name=self._random.choice(_NAMES))
        return {row.pk: (digest_of(data), True)}, lambda: row.save(force_insert=force_insert)

    def _clear(self, pk: int) -> Step:
        row = self._old(pk)
        row.data = None
        return {pk: NOTHING}, row.save

    def _delete(self, pk: int) -> Step:
        return {pk: None}, self._old(pk).delete

    def _copy(self, pk: int) -> Step:
        copy = self._new()

        def do() -> None:
            with transaction.atomic(), self._old(pk).data.open() as file:
                copy.data = File(file, name="copy.bin")
                copy.save(force_insert=True)

        return {copy.pk: self.rows[pk]}, do

    def _write(self, pk: int) -> Step:
        """Write in place, at both ends, so that a half of it would be seen."""
        row = self._old(pk)
        with row.data.open() as file:
            after = io.BytesIO(file.read())
        end = len(after.getbuffer())
        begun, more = self._random.randbytes(8), self._random.randbytes(100_000)

        def write(file: "io.BytesIO | File[bytes]") -> None:
            file.seek(0)
            file.write(begun)
            file.seek(max(end, len(begun)))
            file.write(more)

        def in_place() -> None:
            with transaction.atomic(), row.data.open("rb+") as file:
                write(file)

        write(after)
        return {pk: (digest_of(after.getvalue()), True)}, in_place

    def _insert_bare(self) -> Step:
        """Make a file that the catalogue lacks, as before it was installed."""
        pk, data = self._new().pk, self._data()

        def do() -> None:
            with transaction.atomic(), connections["default"].cursor() as cursor:
                cursor.execute(
                    "insert into invoices_invoice (id, data) select %s, lo_from_bytea(0, %s)::text || '.bin'",
                    [pk, data],
                )

        return {pk: (digest_of(data), False)}, do

    def _adopt(self, pks: list[int]) -> Step:
        changes: Changes = {pk: (self.rows[pk][0], True) for pk in pks}
        return changes, lambda: call_command("largeobjects", "adopt", database="default", verbosity=0)


def main() -> None:
    django.setup()
    for syncdb in (False, True):  # apps without migrations refer to the tables of those that have some
        call_command("migrate", verbosity=0, run_syncdb=syncdb)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        connections.close_all()
        child = os.fork()
        if not child:
            try:
                work(json.loads(line))
            finally:
                os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        os.waitpid(child, 0)
        sys.stdout.write("ended\n")
        sys.stdout.flush()


def work(task: dict[str, Any]) -> None:
    connections["default"].settings_dict["PORT"] = task["port"]
    client = Client(task["seed"], task["log"], {pk: (digest, known) for pk, (digest, known) in task["rows"]})
    try:
        while True:
            client.step()
    except BaseException as error:
        # A command says what the database raised in a line of its own.
        raised = error.__cause__ if isinstance(error, CommandError) else error
        client.write_down({"error": repr(error), "is_of_the_database": isinstance(raised, Error)})
        raise


if __name__ == "__main__":
    main()
