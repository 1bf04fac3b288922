"""Large objects as a filesystem of fsspec's: ``pglo://123.parquet`` is the large object 123.

Needs the extra ``fsspec``, which also makes the protocol known: ``pandas.read_parquet("pglo://123.parquet",
storage_options={"dsn": "dbname=app"})``. The contract: https://filesystem-spec.readthedocs.io/en/latest/api.html
"""

from pg_lo_storage.contrib.fsspec.files import PgLoReader, PgLoWriter
from pg_lo_storage.contrib.fsspec.filesystem import PgLoFileSystem
from pg_lo_storage.contrib.fsspec.transaction import PgLoTransaction

__all__ = ["PgLoFileSystem", "PgLoReader", "PgLoTransaction", "PgLoWriter"]
