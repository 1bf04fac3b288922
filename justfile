# Everything runs with uv alone: uv run just RECIPE

# uv takes the interpreters there are.
export UV_PYTHON_DOWNLOADS := "never"

set positional-arguments

# List the recipes
[private]
default:
    @just --list --unsorted

# Keep, roll back, delete and serve files on an embedded PostgreSQL, on both drivers
[group('demo')]
demo *FILES:
    uv run --no-default-groups --group demo --extra django --extra psycopg --extra psycopg2 python -m example.demo "$@"

# A site with made-up users and files on an embedded PostgreSQL: prints its address and the sign-ins
[group('demo')]
site *ARGS:
    uv run --no-default-groups --group site --extra django --extra psycopg python -m example.site "$@"

# The documentation as HTML, into build/docs; ARGS go to sphinx-build
[group('docs')]
docs *ARGS:
    uv run --no-default-groups --group docs --all-extras python -m sphinx -W --keep-going -q -b html docs build/docs "$@"
    @echo "build/docs/index.html"

# The pictures of README.md, of the site in Debian's chromium
[group('docs')]
pictures:
    uv run --isolated --no-default-groups --group browser --extra django --extra psycopg python -m tests.site.pictures

# Compare with other ways to keep files, into benchmarks/RESULTS.md; --quick does less of it, --help tells the options
[group('bench')]
bench *ARGS:
    uv run python -m benchmarks "$@"

# Lint, types, and the suite on each driver; ARGS go to tests/run_all.py and pytest
[group('test')]
test *ARGS:
    uv run python -m tests.run_all "$@"

# The tests that need vacuumlo, pg_dump, lz4, contrib, curl, wget, chromium, nginx: set PG_LO_TEST_BINDIR
[group('test')]
test-server-tools *ARGS:
    uv run python -m tests.run_all --server-tools "$@"

# The suite on other versions of Python, Django and PostgreSQL, as found
[group('test')]
test-matrix *ARGS:
    uv run python -m tests.run_all --matrix "$@"

# The example site in Debian's chromium, on each driver
[group('test')]
test-site *ARGS:
    uv run python -m tests.run_all --site "$@"

# The documentation builds without a warning, and has all of the public API
[group('test')]
test-docs *ARGS:
    uv run python -m tests.run_all --docs "$@"

# With other packages that keep files: histories, thumbnails, a CMS, REST; docs/packages.md says what holds
[group('test')]
test-packages *ARGS:
    uv run python -m tests.run_all --packages "$@"

# Crashes in the middle of changes, sessions at once, broken copies of the library, on each driver: 60 of each, or --rounds N
[group('test')]
test-faults *ARGS:
    uv run python -m tests.run_all --faults "$@"

# Which branches of src no test of the suite takes, on any driver; ARGS go to tests/run_all.py and pytest
[group('test')]
coverage *ARGS:
    uv run python -m tests.run_all --coverage "$@"

# Changes of src that no test notices; ROOMS are of tests/mutate.py, all of them take hours. docs/mutants.md lists what is left
[group('test')]
mutate *ROOMS:
    uv run --group mutation python -m tests.mutate "$@"

# A million inputs for names, headers, signatures and uploads, in about ten minutes; PG_LO_FUZZ_SEED makes them others
[group('test')]
fuzz $PG_LO_FUZZ_INPUTS="1000000":
    uv run pytest tests/fuzz

# pytest in the development environment
[group('test')]
fast *ARGS:
    uv run pytest "$@"

[group('check')]
lint:
    uv run ruff check
    uv run ruff format --check
    uv run check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
    uv run zizmor --offline --quiet .github

[group('check')]
format:
    uv run ruff check --fix
    uv run ruff format

# mypy and pyright over all, and users' code in environments with and without stubs
[group('check')]
types *ARGS:
    uv run mypy
    uv run pyright
    uv run python -m tests.typing.check "$@"

# Build what is published, look at it, install it by pip and run README's quickstart with it; --keep FOLDER
[group('check')]
package *ARGS:
    uv run python -m tests.package "$@"
