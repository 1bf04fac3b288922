"""Without the catalogue rows move as well: by a project's own command, since then there is no ``largeobjects``."""

import pytest
from django.core.management import CommandError

from tests.lifecycle.guards import EVERY_GUARD
from tests.lifecycle.papers.models import Paper
from tests.lifecycle.support import image, sql, upload
from tests.lifecycle.transfers import LARGE, objects, paper, rows, transfer

pytestmark = pytest.mark.parametrize("catalogue", [False], ids=["bare"], indirect=True)


@EVERY_GUARD
def test_rows_and_files_move_and_nothing_stays(guard: str) -> None:
    paper(title="small", data=upload(name="a.tar.gz"), scan=image(1, 1))
    paper(title="large", data=upload(LARGE))
    before, [(name,)] = rows(Paper, "default"), sql("select data from papers_paper where title = 'small'")
    transfer("papers.Paper", "--keep")
    assert "2 of which an earlier run had copied" in transfer("papers.Paper")
    assert rows(Paper, "other") == before
    assert (objects("default"), objects("other")) == (0, 3), guard
    [(moved,)] = sql("select data from papers_paper where title = 'small'", using="other")
    assert moved.partition(".")[2] == name.partition(".")[2] == "tar.gz"


def test_a_name_without_a_file_is_an_error() -> None:
    broken = paper(title="broken")
    sql("update papers_paper set data = '4000000123.pdf' where id = %s", broken.pk)
    with pytest.raises(CommandError, match=r"names '4000000123\.pdf' in data, and 'default' has no such file"):
        transfer("papers.Paper")


@pytest.mark.parametrize("name", ['Or"der', '"', '"a" , "b"', "100 %s", "UPPER case", "it's"])
def test_what_a_column_that_only_the_server_knows_is_called_does_not_matter(name: str) -> None:
    """Nor does the name of its type."""
    quoted = '"' + name.replace('"', '""') + '"'
    for using in ("default", "other"):
        sql(f"create domain {quoted} as int4", using=using)
        sql(f"alter table papers_paper add column {quoted} {quoted}", using=using)
    try:
        paper(title="odd")
        sql(f"update papers_paper set {quoted} = 42")
        transfer("papers.Paper")
        assert sql(f"select title, {quoted} from papers_paper", using="other") == [("odd", 42)]
        assert rows(Paper, "default") == {}
    finally:
        for using in ("default", "other"):
            sql(f"alter table papers_paper drop column {quoted}", using=using)
            sql(f"drop domain {quoted}", using=using)
