"""A backend that does something of its own when it makes a cursor does it before our statements, too."""

from collections.abc import Callable

import pytest
from django.core.files.base import ContentFile
from django.db import DataError, connections, transaction
from django.db.transaction import TransactionManagementError

from pg_lo_storage.storage import DbFileIO, db_file_storage
from tests.fixtures.schemas import HOOKS, ONE_HOOK, TENANT, names_in, tenant
from tests.invoices.models import Note
from tests.io.files import in_a_thread
from tests.storage.support import LARGE, content, loid_of

pytestmark = [pytest.mark.django_db(transaction=True)]


def read(name: str) -> None:
    with DbFileIO(loid_of(name)) as file:
        file.read()


def write(name: str) -> None:
    with transaction.atomic(), DbFileIO(loid_of(name), "rb+", name) as file:
        file.write(b"new!")


USES: dict[str, Callable[[str], object]] = {
    "save": lambda _name: db_file_storage.save("b.txt", ContentFile(b"new")),
    "save much": lambda _name: db_file_storage.save("b.txt", ContentFile(content(LARGE))),
    "exists": db_file_storage.exists,
    "size": db_file_storage.size,
    "open": lambda name: db_file_storage.open(name).close(),
    "read": read,
    "write": write,
    "delete": db_file_storage.delete,
}


def saved_in(schema: str) -> str:
    with tenant(schema):
        return db_file_storage.save("a.txt", ContentFile(b"blue"))


@pytest.mark.parametrize(
    ("backend", "use"), [*((hook, "save") for hook in HOOKS), *((ONE_HOOK, use) for use in USES)], indirect=["backend"]
)
@pytest.mark.usefixtures("backend")
def test_the_first_statement_is_the_present_tenants(use: str, catalogue: bool) -> None:
    name = saved_in("blue")
    assert names_in("public") == names_in("green") == []
    assert names_in("blue") == ([name] if catalogue else [])
    with tenant("green"):
        Note.objects.count()
        assert db_file_storage.exists(name) is not catalogue
    with tenant("blue"):
        USES[use](name)
    assert names_in("public") == names_in("green") == []
    expected = 0 if use == "delete" else 2 if use.startswith("save") else 1
    assert len(names_in("blue")) == (expected if catalogue else 0)


@pytest.mark.usefixtures("backend")
def test_in_another_thread_a_file_of_a_transaction_is_the_present_tenants() -> None:
    with transaction.atomic():
        name = saved_in("blue")
        with tenant("blue"):
            file = db_file_storage.open(name, "rb+")

        def write() -> int:
            with tenant("blue"):
                file.write(b"BLUE")
                TENANT.made = 0
                file.open("rb+").close()
            return TENANT.made

        # To find the file, to open it, and to close it.
        assert in_a_thread(write) in {1, 2, 3}
        file.close()
        with tenant("blue"), db_file_storage.open(name) as again:
            assert again.read() == b"BLUE"


def test_an_error_there_is_djangos_and_breaks_the_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = connections["default"]

    def failing() -> None:
        with wrapper.connection.cursor() as cursor:
            cursor.execute("select 1/0")

    with transaction.atomic():
        with monkeypatch.context() as patch:
            patch.setattr(wrapper, "cursor", failing)
            with pytest.raises(DataError, match="division by zero"):
                db_file_storage.exists("5.txt")
        with pytest.raises(TransactionManagementError):
            db_file_storage.exists("5.txt")


def test_of_djangos_own_backend_no_cursor_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    name = db_file_storage.save("a.txt", ContentFile(b"data"))
    connections["default"].ensure_connection()

    def refuse(*_: object) -> None:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr("django.db.backends.utils.CursorWrapper.__init__", refuse)
        for use in ("save", "exists", "size", "open"):
            USES[use](name)


def test_a_method_that_a_test_case_put_back_is_no_change() -> None:
    wrapper = connections["default"]
    vars(wrapper)["cursor"] = wrapper.cursor
    db_file_storage.save("a.txt", ContentFile(b"data"))
    assert "cursor" not in vars(wrapper)
