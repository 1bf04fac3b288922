"""A network between browser and site that can be cut."""

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Network:
    """Passes bytes on to a port of this machine until it is cut; slowly, where ``pause`` is seconds for each 64 KB."""

    def __init__(self, port: int, pause: float = 0) -> None:
        self._target = port
        self._pause = pause
        self._cut = threading.Event()
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cut()

    def cut(self) -> None:
        """Break all connections, and take no more."""
        self._cut.set()
        self._break(self._listener, *self._sockets)

    def interrupt(self) -> None:
        """Break all connections, and take others."""
        self._break(*self._sockets)

    @staticmethod
    def _break(*sockets: socket.socket) -> None:
        for one in sockets:
            with suppress(OSError):
                # Reset, not closed in order: nobody waits for the rest.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while block := source.recv(65_536):
                target.sendall(block)
                self._cut.wait(self._pause)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            self._break(source, target)
