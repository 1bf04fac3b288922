"""SQL takes for a name what :func:`pg_lo_storage.names.parse_name` does."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pg_lo_storage.databases import names_in_sql
from pg_lo_storage.databases.columns import ask
from pg_lo_storage.names import MAX_OID, parse_name

pytestmark = pytest.mark.django_db

OID = 4_000_000_000
"""More than a signed number of 32 bits."""

HARD = [
    *(
        before + str(number)
        for number in (0, 1, OID, MAX_OID, MAX_OID + 1, 10**10, 10**30)
        for before in ("", "0", "-")
    ),
    *(f"{OID}.{suffix}" for suffix in ("", "txt", "tar.gz", "v1.2.pdf", "äöü", " x", "a/b", "a\\b", "a\nb", "a\n")),
    *(f"{OID}.{character}" for character in "\x01\x1f\x20\x7e\x7f\x80\x9f\xa0\ud7ff\ue000\U0010ffff"),
    *(f"{OID}.{'x' * length}" for length in (99, 100, 101)),
    *(f"{OID}{after}" for after in ("x", "\n", " ", "/", "-.txt", "\xa0")),
    *(f"{before}{OID}.txt" for before in (" ", "+", "\n", "x/", "_")),
    *("", ".", "..", ".txt", "x", "٤", "٤.txt", "1_0.txt", "1٤.txt", "1e3"),
]
# PostgreSQL has no other texts.
CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
NUMBERED = st.builds("{}.{}".format, st.integers(0, 2 * MAX_OID), st.text(CHARACTERS, max_size=110))
TEXTS = NUMBERED | st.text(CHARACTERS) | st.text("0123456789.+-_ /\\\n\x9fa", max_size=30)
GIVEN = "unnest(%s::text[]) with ordinality as given (name, n)"


@given(st.lists(TEXTS, min_size=1, max_size=40))
@example(HARD)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_texts(texts: list[str]) -> None:
    expected = [parse_name(text) for text in texts]
    rows = ask(
        "default",
        f"select {names_in_sql.is_name('name')}, {names_in_sql.oid_in('name')}::int8 from {GIVEN} order by n",
        texts,
    )
    assert [bool(is_name) for is_name, _ in rows] == [oid is not None for oid in expected]
    # It refers to an oid whatever follows the dot: that keeps an object which is no file.
    assert [oid if is_name else None for is_name, oid in rows] == expected
    assert [oid for _, oid in rows] == [parse_name(text.partition(".")[0]) for text in texts]


@pytest.mark.parametrize("many", [1, 3, names_in_sql.FEW + 1])
def test_what_names_an_object_is_found(many: int) -> None:
    oids = [OID + 10 * number for number in range(many)]
    found = [f"{oid}{after}" for oid in oids for after in ("", ".", ".txt", ".a/b", ".٤", ".\U0010ffff")]
    others = [f"{oid}{after}" for oid in oids for after in ("0", "x", "/", "-", " ", "0.txt", "/.txt")] + HARD
    others = sorted(set(others).difference(name for name in HARD if name.partition(".")[0] in set(map(str, oids))))
    condition, params = names_in_sql.naming("name", oids)
    query = f"select name from {GIVEN} where {condition}"
    assert sorted(name for (name,) in ask("default", query, found + others, *params)) == sorted(found)


@pytest.mark.parametrize("oids", [[OID], list(range(1, names_in_sql.FEW + 2))])
def test_no_object_is_named_by_nothing(oids: list[int]) -> None:
    condition, params = names_in_sql.naming("name", oids)
    query = f"select count(*) from (values (''::text), (null), ('.'), ('.txt')) as given (name) where {condition}"
    assert ask("default", query, *params) == [(0,)]


def test_a_number_at_the_beginning_is_taken_as_far_as_it_goes() -> None:
    texts = ["12", "12.txt", "12x", "x12", "012", "", "99999999999999999999.a"]
    query = f"select {names_in_sql.digits_of('name')} from {GIVEN} order by n"
    assert [digits for (digits,) in ask("default", query, texts)] == ["12", "12", "12", "", "", "", "9" * 20]
