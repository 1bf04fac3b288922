"""Large objects as responses of Starlette and FastAPI; install ``pg-lo-storage[starlette]``."""

from typing import Final

from starlette.background import BackgroundTask
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound, LargeObjectPermissionDenied
from pg_lo_storage.http import AsyncConnect, Connect, FileFacts, Presentation, abody, answer
from pg_lo_storage.http.presentation import NO_STORE

__all__ = ["LargeObjectResponse"]

_AS_IS: Final = Presentation()


class LargeObjectResponse(Response):
    """A large object as a response by RFC 9110: ranges, conditions, ``HEAD``.

    It asks the request what it wants when it is sent. ``connect`` gives a connection for each batch of at most 1 MB,
    as ``pool.connection`` or ``engine.connect`` do, awaited or not; connections that are not awaited are used in
    threads. In between there is neither a connection nor a transaction, however slowly the client reads. ``vary`` names
    the request's headers that decided who may read the file. Headers and cookies that are set on the response go along,
    in the place of its own of the same name.

    :raises HTTPException: while it is sent: 404, the object is not there or the role may not read it; 503, it is not as
        the facts say.
    """

    def __init__(
        self,
        connect: Connect | AsyncConnect,
        facts: FileFacts,
        presentation: Presentation = _AS_IS,
        *,
        vary: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        super().__init__(background=background)
        self.raw_headers.clear()  # of an empty body
        self._connect = connect
        self._facts = facts
        self._presentation = presentation
        self._vary = vary

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = Headers(scope=scope)
        asked = {name: ", ".join(received.getlist(name)) for name in received}
        made = answer(scope["method"], asked, self._facts, self._presentation, vary=self._vary)
        try:
            blocks = await abody(self._connect, self._facts, made)
        except (LargeObjectNotFound, LargeObjectPermissionDenied) as error:
            raise HTTPException(404, headers=NO_STORE) from error
        except LargeObjectConflict as error:
            raise HTTPException(503, headers=NO_STORE | {"Retry-After": "1"}) from error
        response = StreamingResponse(blocks, made.status, made.headers, background=self.background)
        own = {name for name, _ in self.raw_headers}
        response.raw_headers = [header for header in response.raw_headers if header[0] not in own] + self.raw_headers
        await response(scope, receive, send)
