"""No password of a filesystem's is told: not in an error, nor in what is told without passwords."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from example.cluster import Server
from pg_lo_storage.contrib.fsspec import PgLoFileSystem

PASSWORD = "s3cret-of-the-role"
# Nothing that a host's name, an option or a message might have as well.
PASSWORDS = st.text(
    st.one_of(st.sampled_from(" @/:?#&=%'\"\\,;[]+\t\n\x00"), st.characters(min_codepoint=0x21, max_codepoint=0x2FF)),
    min_size=4,
    max_size=30,
)


def pieces(password: str) -> set[str]:
    return {password[start : start + 4] for start in range(len(password) - 3)}


def fs_of(*args: str, **options: Any) -> PgLoFileSystem:
    return PgLoFileSystem(*args, skip_instance_cache=True, **options)


def told(fs: PgLoFileSystem) -> str:
    """Return what the filesystem says of itself without passwords, or why it does not."""
    try:
        said: dict[str, Any] = json.loads(fs.to_json(include_password=False))
    except ValueError as error:
        return str(error)
    assert said == fs.to_dict(include_password=False)
    return "\n".join([*said, *said["args"], *map(str, said.values())])


# What is said whatever the password.
HARMLESS = "\n".join(
    [
        told(PgLoFileSystem("host=127.0.0.1 port=1 dbname=app user=who", skip_instance_cache=True)),
        told(PgLoFileSystem(dsn="host=127.0.0.1 port=1 user=who dbname=app sslmode=disable", skip_instance_cache=True)),
        told(PgLoFileSystem("user=who dbname=app host=127.0.0.1 port=1 sslmode=disable", skip_instance_cache=True)),
        told(PgLoFileSystem("postgresql://@@", skip_instance_cache=True)),
    ]
)


def in_quotes(password: str) -> str:
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


# How a filesystem is given one: by position, or by name.
WAYS: dict[str, Callable[[str], PgLoFileSystem]] = {
    "keywords": lambda it: fs_of(f"host=127.0.0.1 port=1 dbname=app user=who password={in_quotes(it)}"),
    "keywords, spaced": lambda it: fs_of(dsn=f"host = 127.0.0.1 password = {in_quotes(it)} dbname = app"),
    "url": lambda it: fs_of(f"postgresql://who:{quote(it, safe='')}@127.0.0.1:1/app"),
    "url by name": lambda it: fs_of(dsn=f"postgres://who:{quote(it, safe='')}@127.0.0.1:1/app"),
    "query": lambda it: fs_of(f"postgresql://who@127.0.0.1:1/app?sslmode=disable&password={quote(it, safe='')}"),
    "option": lambda it: fs_of("host=127.0.0.1 port=1 user=who", password=it),
    "of a key": lambda it: fs_of(host="127.0.0.1", sslpassword=it),
    "that libpq has not": lambda it: fs_of(host="127.0.0.1", PGPASSWORD=it, passwd=it),
    "url, as it is": lambda it: fs_of(f"postgresql://who:{it}@127.0.0.1:1/app"),
    "half a quote": lambda it: fs_of(f"host=127.0.0.1 port=1 password='{it}"),
    # Where libpq reads another option, a port or a host, so does everybody.
    "query, as it is": lambda it: fs_of(f"postgresql://127.0.0.1:1/app?password={it.replace('&', '')}"),
    "no host": lambda it: fs_of(f"postgresql://who:{it.replace('@', '').lstrip('0123456789,/?')}"),
    "no quotes": lambda it: fs_of(f"host=127.0.0.1 port=1 password={it.replace('=', '')}"),
}


@pytest.mark.parametrize("way", WAYS)
@given(password=PASSWORDS)
@example(password="s3cret@hunter2,tail9")
@example(password="hunter2/tail9@x")
@example(password="two port=hunter")
@example(password="1234/tail9")
def test_what_is_told_without_passwords_has_none(way: str, password: str) -> None:
    text = told(WAYS[way](password))
    assert not [piece for piece in pieces(password) if piece in text and piece not in HARMLESS]


def test_nor_what_it_prints_as() -> None:
    for way in WAYS.values():
        fs = way(PASSWORD)
        assert PASSWORD not in f"{fs!r} {fs} {fs.session!r}"


def test_what_is_told_leads_to_the_same_database(server: Server) -> None:
    before = fs_of(server.dsn())
    name = before.pipe_file("new", b"content")
    parameters = server.parameters("app")
    for fs in (before, fs_of(dsn=f"{server.dsn()} password='a b'"), fs_of(password=PASSWORD, **parameters)):
        blob = fs.to_json(include_password=False)
        assert "a b" not in blob
        assert PASSWORD not in blob
        again = PgLoFileSystem.from_json(blob)
        assert isinstance(again, PgLoFileSystem)
        assert again.cat_file(name) == b"content"
        again.close()
    before.close()


def test_with_passwords_all_is_told() -> None:
    for fs in (fs_of(f"password={PASSWORD}"), fs_of(dsn="dbname=app", password=PASSWORD)):
        assert PASSWORD in fs.to_json()
        assert PASSWORD in str(fs.to_dict())
    options: dict[str, Any] = json.loads(fs_of("service=files", passfile="/etc/pass").to_json(include_password=False))
    assert options["args"] == ["service=files"]
    assert options["passfile"] == "/etc/pass"


def test_an_alias_is_told() -> None:
    assert json.loads(PgLoFileSystem(alias="default").to_json(include_password=False))["alias"] == "default"


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://who:s3cret@hunter2,tail9@127.0.0.1/app",
        "postgresql://who:s3cret/hunter2@127.0.0.1/app",
        "postgresql://who:s3cret%hunter2@127.0.0.1/app",
        "postgresql://who:hunter2",
        "postgresql://who:s3cret?hunter2=tail9/x@127.0.0.1/app",
        "postgresql://127.0.0.1/app?s3cret",
        "postgresql://127.0.0.1/app?hunter2=x",
        "host=127.0.0.1 password=s3cret hunter2",
        "host=127.0.0.1 password='s3cret hunter2",
        "host=127.0.0.1 password=s3cret hunter2=tail9",
        "host=127.0.0.1 password='s3cret'hunter2",
        "hunter2",
        "host=127.0.0.1 password=s3cret\x00hunter2",
        "host=127.0.0.1 password=s3cret\udcffhunter2",
    ],
)
def test_a_malformed_dsn_is_not_quoted(dsn: str) -> None:
    with pytest.raises(ValueError, match="malformed") as caught:
        fs_of(dsn).ls("")
    chain: BaseException | None = caught.value
    while chain is not None:
        assert not any(piece in str(chain) for piece in ("s3cret", "hunter2", "tail9"))
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
