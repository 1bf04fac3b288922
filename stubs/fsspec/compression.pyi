from collections.abc import Callable
from typing import BinaryIO

compr: dict[str, Callable[..., BinaryIO]]
