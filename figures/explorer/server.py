"""The explorer's server: its address, its thread, and how many pages compute at once."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import ipaddress
import logging
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Self

from bokeh.document import Document
from bokeh.models.widgets import Div
from bokeh.server.server import BaseServer
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop

from dynamics.errors import ParameterError, known, shown
from figures.explorer.guard import LARGEST_MESSAGE, GuardedApplication, Producer, allowed_hosts, bracketed

__all__ = ["ExplorerServer", "Fill", "Producer"]

#: Fills the document of a page.
Fill = Callable[[Document], None]

_LOG = logging.getLogger(__name__)
_FURTHER_PORTS = 20
_LARGEST_REQUEST = 2**16  # bytes, of headers and of a body: pages ask by short addresses and through their websocket
_IDLE = 60.0  # s that a connection may stay without a whole request
_GRACE = 1.0  # s for the sessions to end


class ExplorerServer:
    """Serve pages to browsers that know the address.

    The port is taken at once, so that the address is known before the server runs; it runs once, in a thread of its
    own, whatever event loop the caller has.

    Parameters
    ----------
    pages : mapping of str to callable
        What fills the document of each page, by its name in the address.
    host : str
        Address to listen at. Other than a loopback address, it lets other machines in: see `warning`.
    port : int
        Port to listen at, or the first free one of the 20 after it; 0 for any.
    most_sessions : int
        Pages open at once; the next one only says so.
    first : str or None
        The page that is opened first; by default, the first one.

    Examples
    --------
    >>> with ExplorerServer({"hello": lambda document: None}, port=0) as server:
    ...     server.url.startswith(f"http://127.0.0.1:{server.port}/")
    True
    """

    def __init__(
        self,
        pages: Mapping[str, Fill],
        *,
        host: str = "127.0.0.1",
        port: int = 5006,
        most_sessions: int = 8,
        first: str | None = None,
    ) -> None:
        self._first = next(iter(pages)) if first is None else known("first", first, pages)
        self._most = most_sessions
        self._open: set[Document] = set()
        self._producers: dict[str, Producer] = {}
        self._token = secrets.token_urlsafe(24)
        self._host = host
        family, self._address = _resolved(host)
        self._socket = _listening(family, self._address, host, port)
        self.port: int = self._socket.getsockname()[1]
        self.notice = "" if port in {0, self.port} else f"port {port} is in use; this is {self.port}"
        self._application = GuardedApplication(
            {name: self._bounded(fill) for name, fill in pages.items()},
            first=self._first,
            token=self._token,
            hosts=allowed_hosts(host, self._address, self.port),
            most_sessions=most_sessions,
            producers=self._producers,
        )
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()
        self._ready = threading.Event()
        self._over = threading.Event()

    @property
    def url(self) -> str:
        """Address of the first page, token included: who knows it can use the server."""
        if ipaddress.ip_address(self._address).is_unspecified:
            name = socket.gethostname().lower()
        else:
            name = bracketed(self._address)
        return f"http://{name}:{self.port}/{self._token}/{self._first}"

    @property
    def warning(self) -> str:
        """What to tell the user about who else can come in; '' where nobody from outside can."""
        if ipaddress.ip_address(self._address).is_loopback:
            return ""
        return (
            f"host {self._host} is not of this machine alone: anybody who can reach this machine and knows the address "
            "can start computations on it"
        )

    def offer(self, document: Document, producer: Producer) -> str:
        """Offer files for download until the document's session ends.

        Parameters
        ----------
        document : Document
            The document of the page that links to the files.
        producer : callable
            Makes a file: of its kind, the content, content type and name, or ``None`` for an unknown kind. It runs in
            a thread of its own; the text of a `ParameterError` is shown to the user.

        Returns
        -------
        str
            The path to which links append the kind.
        """
        key = secrets.token_urlsafe(24)
        self._producers[key] = producer
        document.on_session_destroyed(lambda context: self._forget(key))
        return f"/{self._token}/download/{key}/"

    def _forget(self, key: str) -> None:
        self._producers.pop(key, None)

    def _bounded(self, fill: Fill) -> Fill:
        """Fill documents as long as there is room, and say in the others what is the matter."""

        def filled(document: Document) -> None:
            if len(self._open) >= self._most:
                _say(
                    document, f"{len(self._open)} pages are open, and no more can be: close one, then reload this one."
                )
                return
            self._open.add(document)
            document.on_session_destroyed(lambda context: self._open.discard(document))
            try:
                fill(document)
            except Exception:
                _LOG.exception("a page could not be made")
                document.clear()
                _say(document, "This page could not be made; the server's messages say why.")

        return filled

    def start(self) -> None:
        """Serve in a thread of its own until `stop`."""
        with self._lock:
            if self._thread is not None or self._socket.fileno() < 0:
                raise RuntimeError("a server runs only once")
            self._thread = threading.Thread(target=self._work, name="explorer-server", daemon=True)
            self._thread.start()
        self._ready.wait()
        atexit.register(self.stop)

    def run(self) -> None:
        """Serve until Ctrl-C, SIGTERM or `stop`, then end all sessions."""
        with _terminated_by(self._ask_to_end), contextlib.suppress(KeyboardInterrupt):
            self.start()
            while not self._over.wait(0.5):  # a wait without end cannot be interrupted everywhere
                pass
        self.stop()

    def stop(self) -> None:
        """End all sessions and the server; from any thread, any number of times."""
        with self._lock:
            thread = self._thread
            if thread is None:
                self._socket.close()
                return
        self._ready.wait()
        self._ask_to_end()
        atexit.unregister(self.stop)
        if thread is not threading.current_thread():
            self._over.wait(2 * _GRACE)  # after an interrupted join, Python 3.11 takes the thread for ended

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *what: object) -> None:
        self.stop()

    def _ask_to_end(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                self._loop.call_soon_threadsafe(self._ending.set)

    def _work(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()
            self._over.set()

    async def _serve(self) -> None:
        http = HTTPServer(
            self._application,
            max_header_size=_LARGEST_REQUEST,
            max_body_size=_LARGEST_REQUEST,
            max_buffer_size=4 * LARGEST_MESSAGE,
            idle_connection_timeout=_IDLE,
            body_timeout=_IDLE,
        )
        server = BaseServer(IOLoop.current(), self._application, http)
        http.add_socket(self._socket)
        server.start()
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await self._ending.wait()
        server.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await http.close_all_connections()
                await self._application.part()
        self._application.tell_the_end()


def _say(document: Document, sentence: str) -> None:
    document.add_root(Div(text=sentence))


def _resolved(host: str) -> tuple[socket.AddressFamily, str]:
    """Return family and number of an address, IPv4 where it has both."""
    try:
        found = socket.getaddrinfo(host or None, None, type=socket.SOCK_STREAM) if host else []
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise ParameterError(f"host must be an address or name of this machine; got {shown(host)}")
    family, *_, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    return family, str(address[0])


def _listening(family: socket.AddressFamily, address: str, host: str, port: int) -> socket.socket:
    """Take the first free port for this server alone."""
    if not (isinstance(port, int) and 0 <= port < 2**16):
        raise ParameterError(f"port must be an integer from 0 (any) to 65535; got {shown(port)}")
    ports = range(port, min(port + _FURTHER_PORTS, 2**16 - 1) + 1) if port else range(1)
    both = address == "::" and socket.has_dualstack_ipv6()
    for number in ports:
        try:
            taken = socket.create_server((address, number), family=family, dualstack_ipv6=both)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            what, got = ("port", number) if error.errno == errno.EACCES else ("host", shown(host))
            raise ParameterError(f"{what} must be one to listen at; got {got}: {error.strerror}") from None
        taken.setblocking(False)
        return taken
    raise ParameterError(
        f"port must be free, or one of the {_FURTHER_PORTS} after it; {port} to {ports[-1]} are in use"
    )


@contextlib.contextmanager
def _terminated_by(end: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM end the server while in the block; only the main thread may listen to signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: end())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
