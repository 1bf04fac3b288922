from types import TracebackType
from typing import Any

class OpenFile:
    def __enter__(self) -> Any: ...  # a binary or a text file, as the mode says
    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

def get_compression(urlpath: str, compression: str) -> str | None: ...
