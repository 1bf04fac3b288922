"""Who is compared, and what each of them needs."""

from dataclasses import dataclass, field

from benchmarks.jobs import CHANGES, Operation

MB = 1_000_000
NO_LIMIT = 10**12


@dataclass(frozen=True)
class Environment:
    """A virtual environment with some distributions."""

    name: str
    requirements: tuple[str, ...]
    with_this_library: bool = False


@dataclass(frozen=True)
class Contender:
    """One way to keep files."""

    key: str
    label: str
    store: str
    environment: Environment
    operations: frozenset[Operation]
    largest: dict[str, int] = field(default_factory=dict[str, int], hash=False)
    """The most bytes that an operation is tried with."""
    shares_objects: bool = True
    """Whether it reads the large objects that this library saved, rather than files of its own."""
    prepares: bool = False
    """Whether psycopg prepares statements, which Django turns off unless the settings say otherwise."""

    def does(self, operation: str, size: int) -> bool:
        """Tell whether the operation is measured at that size."""
        return operation in self.operations and size <= self.largest.get(operation, NO_LIMIT)

    @property
    def is_python(self) -> bool:
        """Whether it runs in Python's process."""
        return self.store not in {"c", "psql"}

    @property
    def is_django(self) -> bool:
        """Whether it is a storage of a Django project."""
        return self.store not in {"c", "psql", "lobject", "nginx"}

    @property
    def has_pool(self) -> bool:
        """Whether Django can keep a pool of its connections."""
        return self.is_django and PSYCOPG in self.environment.requirements


DJANGO = "django>=6,<7"
PSYCOPG = "psycopg[binary,pool]>=3.2.1"
PSYCOPG2 = "psycopg2-binary>=2.9.5"
WEB = ("gunicorn>=23", "uvicorn>=0.34")

OWN = Environment("own-psycopg", (DJANGO, PSYCOPG, *WEB), with_this_library=True)
OWN2 = Environment("own-psycopg2", (DJANGO, PSYCOPG2, *WEB), with_this_library=True)
OLD = Environment("predecessor-psycopg", ("pg-lo-storage==0.2.2", DJANGO, PSYCOPG, *WEB))
OLD2 = Environment("predecessor-psycopg2", ("pg-lo-storage==0.2.2", DJANGO, PSYCOPG2, *WEB))
DB_FILE_STORAGE = Environment("db-file-storage", ("django-db-file-storage==0.5.6.1", DJANGO, PSYCOPG, *WEB))
BINARY_DATABASE_FILES = Environment("binary-database-files", ("django-binary-database-files==1.0.19", PSYCOPG))

FILES: frozenset[Operation] = frozenset({"chunks", "read", "export", "save"})
CHANGED: frozenset[Operation] = frozenset(CHANGES)
ROWS: frozenset[Operation] = frozenset({*FILES, "rows"})
DOWNLOADS: frozenset[Operation] = frozenset({"downloads"})
ALL: frozenset[Operation] = frozenset({*ROWS, *DOWNLOADS, "serve"})
OURS = ALL | CHANGED
# It appends each block to all that came before: 45 s for 100 MB.
QUADRATIC = {"read": 10 * MB}

CONTENDERS = (
    Contender("c", "C, lo_read and lo_write", "c", OWN, FILES | CHANGED),
    Contender("c-keeps", "C, lo_read that keeps everything", "c", OWN, frozenset({"read"})),
    Contender("c-alone", "C, lo_read that keeps nothing", "c", OWN, frozenset({"export"})),
    Contender("own-psycopg", "this library, psycopg 3", "own", OWN, OURS),
    Contender("own-psycopg2", "this library, psycopg2", "own", OWN2, OURS),
    Contender("old-psycopg", "pg-lo-storage 0.2.2, psycopg 3", "predecessor", OLD, ALL, QUADRATIC),
    # A download fails there: it gets memoryviews.
    Contender("old-psycopg2", "pg-lo-storage 0.2.2, psycopg2", "predecessor", OLD2, ROWS, QUADRATIC),
    Contender("lobject", "psycopg2's lobject", "lobject", OWN2, FILES),
    Contender("psql", "psql, \\lo_export and \\lo_import", "psql", OWN, frozenset({"export", "save"})),
    Contender("bytea", "BinaryField (bytea), psycopg 3", "bytea", OWN, ROWS | DOWNLOADS, shares_objects=False),
    Contender(
        "db-file-storage",
        "django-db-file-storage",
        "db_file_storage",
        DB_FILE_STORAGE,
        ROWS | DOWNLOADS,
        shares_objects=False,
    ),
    Contender(
        "binary-database-files",
        "django-binary-database-files",
        "binary_database_files",
        BINARY_DATABASE_FILES,
        ROWS,
        shares_objects=False,
    ),
    Contender("files", "FileSystemStorage with fsync", "files", OWN, ROWS | DOWNLOADS, shares_objects=False),
    Contender(
        "files-psycopg2",
        "the same, rows by psycopg2",
        "files",
        OWN2,
        frozenset({"rows", "downloads"}),
        shares_objects=False,
    ),
    Contender("view-psycopg", "this library's DbFileView, psycopg 3", "own", OWN, DOWNLOADS),
    Contender("view-psycopg2", "this library's DbFileView, psycopg2", "own", OWN2, DOWNLOADS),
    Contender("prepared-psycopg", "this library, psycopg 3, prepared", "own", OWN, DOWNLOADS, prepares=True),
    Contender("view-prepared", "its DbFileView, psycopg 3, prepared", "own", OWN, DOWNLOADS, prepares=True),
    Contender("nginx", "nginx, the file alone", "nginx", OWN, DOWNLOADS, shares_objects=False),
)
REFERENCE, OWN_CONTENDERS = CONTENDERS[0], CONTENDERS[3:5]


def keeper_of(contender: Contender) -> Contender:
    """Return who stores the files that the contender reads: this library the large objects of all."""
    return OWN_CONTENDERS[0] if contender.shares_objects else contender


def find(key: str) -> Contender:
    """Return the contender of that key."""
    return next(contender for contender in CONTENDERS if contender.key == key)
