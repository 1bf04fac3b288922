# What this project uses of fsspec, and no more: https://filesystem-spec.readthedocs.io/en/latest/api.html

from typing import Any

from fsspec.core import OpenFile

# A filesystem of the protocol's class.
def filesystem(protocol: str, **storage_options: object) -> Any: ...
def open(urlpath: str, mode: str = "rb", compression: str | None = None, **kwargs: object) -> OpenFile: ...
