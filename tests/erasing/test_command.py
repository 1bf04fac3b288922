"""``manage.py largeobjects erase``: by a query or by owner, shown first, with a receipt that can be verified."""

from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.base import ContentFile
from django.core.management import CommandError
from django.test import override_settings

from tests.catalogue.support import run
from tests.erasing.desk.models import Bill, Customer, Draft, Letter, Member, Note, Remote, Version
from tests.erasing.support import kinds, largeobjects, letter, page, records

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "receipt"


def test_without_yes_it_says_what_would_go(path: Path) -> None:
    customer = Customer.objects.create(name="gone")
    page(letter(customer=customer))
    status, lines = largeobjects("erase", "desk.Customer", "--where", "name=gone", "--receipt", path)
    assert status == 0
    assert lines == [
        "1 of desk.Customer, 1 of desk.Letter, 1 of desk.Page; 2 files of 11 bytes would be erased, with --yes"
    ]
    assert Letter.objects.exists()
    assert not path.exists()


@pytest.mark.parametrize("rows", [["desk.Customer", "--where", "name=gone"], ["--rows", "desk.Customer", "name=gone"]])
def test_with_yes_it_goes_and_the_receipt_is_verified(rows: list[str], path: Path) -> None:
    letter(customer=Customer.objects.create(name="gone"))
    status, lines = largeobjects("erase", *rows, "--receipt", path, "--yes")
    said = "1 of desk.Customer, 1 of desk.Letter; 1 file of 7 bytes erased"
    assert status == 0
    assert lines[0] == said
    assert "docs/erasure.md" in lines[1]
    assert kinds(path) == ["begin", "batch", "committed", "end"]
    assert largeobjects("erase", "--verify", path) == (
        0,
        [f"{path}: each line is as this site wrote it", f"{said}, 0 files left"],
    )
    assert [record["kind"] for record in records("erase", "--verify", path)[1]] == kinds(path)


def test_a_receipt_without_its_end_is_said_to_have_none(path: Path) -> None:
    letter()
    largeobjects("erase", "desk.Letter", "--where", "pk__gt=0", "--receipt", path, "--yes")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    status, lines = largeobjects("erase", "--verify", path)
    assert (status, lines[1]) == (1, "1 of desk.Letter; 1 file of 7 bytes erased, 0 files left")
    assert "it has no end" in lines[2]
    status, lines = largeobjects("erase", "desk.Letter", "--where", "pk__gt=0", "--receipt", path, "--yes")
    assert (status, lines[0]) == (0, f"{path}: 1 of desk.Letter; 1 file of 7 bytes were erased before")
    assert largeobjects("erase", "--verify", path)[0] == 0


def test_what_is_kept_is_said_and_is_the_exit_status(path: Path) -> None:
    row = letter()
    name = str(row.data.name)
    version = Version.objects.create(data=name)
    why = f"named by desk_version {version.pk} data"
    status, lines = largeobjects("erase", "desk.Letter", "--where", f"pk={row.pk}", "--yes", "--receipt", path)
    assert status == 1
    assert lines == [
        f"default: {name} of desk_letter {row.pk} data: kept, {why}",
        "1 of desk.Letter; 0 files of 0 bytes erased",
        "1 file left, as said above",
    ]
    status, lines = largeobjects("erase", "--verify", path)
    assert (status, lines[1]) == (0, "1 of desk.Letter; 0 files of 0 bytes erased, 1 file left")


def test_json_has_a_line_for_each_file_and_one_for_all() -> None:
    row = letter()
    _, [file, total] = records("erase", "desk.Letter", "--where", f"pk={row.pk}", "--yes")
    assert (file["name"], file["state"]) == (row.data.name, "erased")
    assert total == {"rows": {"desk.Letter": 1}, "files": 1, "bytes": 7, "left": 0, "done": True}


def test_an_owners_rows_go_on_each_database() -> None:
    ann, bob = (User.objects.create_user(name) for name in ("ann", "bob"))
    letter(owner=ann)
    page(letter(owner=ann))
    letter(owner=bob)
    letter()
    other = User.objects.using("other").create(username="ann")
    Letter.objects.using("other").create(owner=other, data=ContentFile(b"far", "a.pdf"))
    Remote.objects.create(data=ContentFile(b"far", "a.pdf"))
    status, lines = largeobjects("erase", "--owner", "ann", "--yes")
    assert (status, lines[0]) == (0, "3 of desk.Letter, 1 of desk.Page; 4 files of 21 bytes erased")
    assert [row.owner for row in Letter.objects.order_by("pk")] == [bob, None]
    assert not Letter.objects.using("other").exists()
    assert User.objects.filter(username="ann").exists()


def test_rows_that_may_be_anothers_are_left_and_said() -> None:
    ann = User.objects.create_user("ann")
    Draft.objects.create(author=ann, data=ContentFile(b"draft", "a.txt"))
    status, lines = largeobjects("erase", "--owner", "ann", "--yes", "--database", "default")
    assert status == 1
    why = "each refers to users by author_id, editor_id; erase desk.Draft --where says which"
    assert lines == [f"default: 1 of desk.Draft left: {why}", "no rows; 0 files of 0 bytes erased"]
    assert Draft.objects.exists()


def test_a_users_own_row_is_left_and_said() -> None:
    Member.objects.create(name="ann", photo=ContentFile(b"photo", "a.png"))
    with override_settings(AUTH_USER_MODEL="desk.Member"):
        status, lines = largeobjects("erase", "--owner", "ann", "--yes", "--database", "default")
    assert status == 1
    why = "it is the user's own row; erase desk.Member --where says which"
    assert lines == [f"default: 1 of desk.Member left: {why}", "no rows; 0 files of 0 bytes erased"]
    assert Member.objects.exists()


def test_a_database_without_users_has_no_owners_rows() -> None:
    letter(owner=User.objects.create_user("ann"))
    Letter.objects.using("other").create(data=ContentFile(b"far", "a.pdf"))
    run("alter table auth_user rename to users", using="other")
    try:
        status, lines = largeobjects("erase", "--owner", "ann", "--yes")
    finally:
        run("alter table users rename to auth_user", using="other")
    assert (status, lines[0]) == (0, "1 of desk.Letter; 1 file of 7 bytes erased")
    assert Letter.objects.using("other").exists()


def test_a_project_without_users_has_no_owners() -> None:
    letter(owner=User.objects.create_user("ann"))
    with override_settings(AUTH_USER_MODEL="nothing.User"), pytest.raises(CommandError, match="ann"):
        largeobjects("erase", "--owner", "ann", "--yes")
    assert Letter.objects.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["desk.Letter"],
        ["--where", "pk=1"],
        ["desk.Letter", "--owner", "ann"],
        ["desk.Letter", "--where", "nothing=1"],
        ["desk.Letter", "--where", "pk=x"],
        ["nothing.Here", "--where", "pk=1"],
        ["desk.Letter", "--where", "pk__gt=0", "--rows", "desk.Letter", "pk__gt=0"],
        ["--owner", "nobody"],
        ["--verify", "/nowhere/receipt"],
        ["desk.Letter", "--where", "pk=1", "--receipt", "/nowhere/receipt", "--yes"],
    ],
)
def test_what_it_cannot_do_is_an_error_and_changes_nothing(arguments: list[str]) -> None:
    letter()
    with pytest.raises(CommandError):
        largeobjects("erase", *arguments)
    assert Letter.objects.exists()


def test_protected_rows_are_an_error_that_names_what_protects_them() -> None:
    bill = Bill.objects.create(letter=letter())
    with pytest.raises(CommandError, match=rf"desk\.Bill {bill.pk}"):
        largeobjects("erase", "desk.Letter", "--where", "pk__gt=0", "--yes")
    assert run("select count(*) from pg_largeobject_metadata") == [(1,)]


def test_what_goes_by_a_query_counts_and_what_refers_to_nothing_any_more_is_told() -> None:
    user = User.objects.create_user("gone")
    user.groups.add(Group.objects.create(name="writers"))
    first, lost = letter(owner=user), letter(owner=user)
    Note.objects.create(letter=first)
    run("select lo_unlink(%s)", lost.data.loid or 0)
    status, lines = largeobjects("erase", "auth.User", "--where", "username=gone", "--yes", "-v", "2")
    assert "default: 1 rows refer to nothing any more by desk.Note.letter" in lines
    assert f"default: {first.data.name} letter.pdf 7 bytes" in lines
    assert any(f"{lost.data.name} of desk_letter {lost.pk} data: missing" in line for line in lines)
    [said] = [line for line in lines if line.endswith("erased")]
    assert "1 of auth.User_groups" in said
    assert "2 of desk.Letter" in said
    assert (status, Note.objects.get().letter) == (0, None)
