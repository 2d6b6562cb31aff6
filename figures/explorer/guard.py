"""The explorer's web application: bokeh's, with a guard that every request passes before anything answers it."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import logging
import secrets
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, unquote

from bokeh.document import Document
from bokeh.resources import Resources
from bokeh.server.tornado import BokehTornado
from bokeh.server.views.autoload_js_handler import AutoloadJsHandler
from bokeh.server.views.doc_handler import DocHandler
from bokeh.server.views.metadata_handler import MetadataHandler
from bokeh.server.views.static_handler import StaticHandler
from bokeh.server.views.ws import WSHandler
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import ErrorHandler, OutputTransform, RedirectHandler, RequestHandler
from tornado.websocket import WebSocketClosedError

from dynamics.errors import ParameterError

__all__ = ["GuardedApplication", "Producer", "allowed_hosts", "bracketed"]

#: Of a kind of file, its content, content type and name; ``None`` where there is no such kind.
Producer = Callable[[str], tuple[bytes, str, str] | None]

_LOG = logging.getLogger(__name__)
LARGEST_MESSAGE = 2**16  # bytes of a websocket message: widgets have little to say
_TAKEN = ("PATCH-DOC", "PULL-DOC-REQ", "SERVER-INFO-REQ", "ACK", "OK", "ERROR")
_CHANGES = ("ModelChanged", "MessageSent")  # a widget has another value, a button was pressed
_SPARE = 8  # pages beyond those that compute: they only say that there are too many
_LIFETIME = 4000  # ms that a session without a browser is kept ...
_CHECK = 500  # ... and how often that is looked at: together less than 5 s
_PING = 20.0  # s after which a browser that does not answer counts as gone

# Bokeh's pages start with scripts written into them, its widgets set styles, its pictures are made in the page.
_POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self' http://127.0.0.1:* http://localhost:*",
    ]
)


def allowed_hosts(host: str, address: str, port: int) -> frozenset[str]:
    """Return what browsers may write to come here: a page of another name that leads here is an attack."""
    names = {"127.0.0.1", "localhost", "[::1]", bracketed(host), bracketed(address)}
    number = ipaddress.ip_address(address)
    if not number.is_loopback:
        names |= {socket.gethostname(), socket.getfqdn()}
    if number.is_unspecified:
        with contextlib.suppress(OSError):
            names |= {bracketed(str(one[4][0])) for one in socket.getaddrinfo(socket.gethostname(), None)}
    hosts = {f"{name.lower()}:{port}" for name in names}
    return frozenset(hosts | {name.lower() for name in names} if port == 80 else hosts)  # 80 is not written


def bracketed(host: str) -> str:
    """Write a host as addresses do."""
    return f"[{host}]" if ":" in host else host


class GuardedApplication(BokehTornado):
    """Bokeh's web application behind a guard.

    Parameters
    ----------
    pages : mapping of str to callable
        What fills the document of each page.
    first : str
        The page that the address without a page leads to.
    token : str
        First part of every path.
    hosts : set of str
        ``host:port`` as browsers may write it, in lower case.
    most_sessions : int
        After this many, a page is refused rather than made, and so is a connection.
    producers : mapping of str to callable
        Who makes the files for download, by the key in their address; read at every request.
    """

    def __init__(
        self,
        pages: Mapping[str, Callable[[Document], None]],
        *,
        first: str,
        token: str,
        hosts: frozenset[str],
        most_sessions: int,
        producers: Mapping[str, Producer],
    ) -> None:
        self._start = f"/{token}/".encode()
        self._hosts = hosts
        self._most = most_sessions + _SPARE
        self._pool = ThreadPoolExecutor(2, "explorer-download")
        self.sockets: set[_Socket] = set()
        downloads = {"producers": producers, "pool": self._pool}
        super().__init__(
            {f"/{name}": fill for name, fill in pages.items()},
            prefix=token,
            extra_websocket_origins=sorted(hosts),
            extra_patterns=[
                (r"/", RedirectHandler, {"url": f"/{token}/{first}", "permanent": False}),
                (r"/download/([\w-]+)/([\w.-]+)", _Download, downloads),
            ],
            use_index=False,
            ico_path="none",
            sign_sessions=True,
            secret_key=secrets.token_bytes(32),
            include_headers=[],  # a session needs none, and cookies of other servers on this machine come along
            include_cookies=[],
            keep_alive_milliseconds=0,
            websocket_ping_interval=_PING,
            websocket_max_message_size_bytes=LARGEST_MESSAGE,
            unused_session_lifetime_milliseconds=_LIFETIME,
            check_unused_sessions_milliseconds=_CHECK,
            transforms=[_Headers],
            log_function=lambda handler: None,
        )

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Find who answers a request, the guard first."""
        refusal = self._refusal(request)
        if refusal:
            return super().get_handler_delegate(request, _Refused, dict(zip(("status", "text"), refusal, strict=True)))
        return super().find_handler(request, **kwargs)

    def _refusal(self, request: HTTPServerRequest) -> tuple[int, str] | None:
        """Return status and text of a refusal; the host first, so that a foreign name learns nothing about the rest."""
        given = request.headers.get_list("Host")
        if len(given) != 1 or given[0].lower() not in self._hosts:
            return 421, "This server does not answer to that name.\n"
        origins = request.headers.get_list("Origin")
        if origins and (len(origins) > 1 or origins[0].lower() not in {f"http://{host}" for host in self._hosts}):
            return 403, "This server answers only to its own pages.\n"
        known = hmac.compare_digest(request.path.encode()[: len(self._start)], self._start)
        if not known or ".." in unquote(request.path):
            return 404, "There is nothing here.\n"
        return None

    def get_handler_delegate(self, request: HTTPServerRequest, target_class: Any, *args: Any, **kwargs: Any) -> Any:
        """Let requests reach only what the explorer uses, and no more of it than the memory is for."""
        chosen = "Bokeh-Session-Id" in request.headers or any(name.startswith("bokeh-") for name in request.arguments)
        if chosen or target_class in {AutoloadJsHandler, MetadataHandler}:  # sessions are of the server's choice
            return super().get_handler_delegate(request, ErrorHandler, {"status_code": 404})
        held = {DocHandler: sum(1 for _ in self._sessions()), WSHandler: len(self.sockets)}
        if held.get(target_class, 0) >= self._most:
            too_many = {"status": 503, "text": "Too many pages are open: close some of them.\n"}
            return super().get_handler_delegate(request, _Refused, too_many)
        if target_class is WSHandler:
            target_class = _Socket
        return super().get_handler_delegate(request, target_class, *args, **kwargs)

    def resources(self, absolute_url: str | bool | None = None) -> Resources:
        """Scripts come from this server, whatever the environment says."""
        return Resources(mode="server", root_url=self.prefix, path_versioner=StaticHandler.append_version)

    def _sessions(self) -> Any:
        return (session for context in self.applications.values() for session in context.sessions)

    async def part(self) -> None:
        """Part with all browsers."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for one in tuple(self.sockets):
            one.end()
        while self.sockets:
            await asyncio.sleep(0.01)

    def tell_the_end(self) -> None:
        """Call what hangs on the end of sessions, without bokeh's garbage collection after each, which takes long."""
        for document in [session.document for session in self._sessions()]:
            callbacks, document.session_destroyed_callbacks = document.session_destroyed_callbacks, set()
            for callback in callbacks:
                try:
                    callback(document.session_context)
                except Exception:
                    _LOG.exception("the end of a page went wrong")


class _Headers(OutputTransform):
    """Headers of every answer. The token is part of the address, so no other place may learn where one came from."""

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        headers["Content-Security-Policy"] = _POLICY
        headers["Referrer-Policy"] = "no-referrer"
        headers["X-Content-Type-Options"] = "nosniff"
        headers.setdefault("Cache-Control", "no-store")
        return status_code, headers, chunk


class _Refused(RequestHandler):
    """Answers any method with one line of text."""

    def initialize(self, status: int, text: str) -> None:
        self._answer = status, text

    def prepare(self) -> None:
        status, text = self._answer
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(text)


class _Download(RequestHandler):
    """Hands out a file that the page of a session makes."""

    def initialize(self, producers: Mapping[str, Producer], pool: ThreadPoolExecutor) -> None:
        self._producers = producers
        self._pool = pool

    async def get(self, key: str, kind: str) -> None:
        if key not in self._producers:
            self.send_error(404)
            return
        try:
            made = await asyncio.get_running_loop().run_in_executor(self._pool, self._producers[key], kind)
        except ParameterError as error:
            self.set_status(409)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(f"{error}\n")
            return
        if made is None:
            self.send_error(404)
            return
        content, content_type, name = made
        self.set_header("Content-Type", content_type)
        self.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{quote(name, safe='')}")
        self.finish(content)


class _Socket(WSHandler):
    """Bokeh's websocket, known to the application, and quiet about browsers that leave or come back late."""

    application: GuardedApplication

    def open(self) -> None:
        try:
            super().open()
        except Exception:  # whatever a token can be, such as one of a page from before a long sleep
            self.close()
        else:
            self.application.sockets.add(self)

    async def _async_open(self, token: str) -> None:
        await super()._async_open(token)
        # A browser that left meanwhile would keep its session for ever: bokeh let go of it before it had it.
        if self not in self.application.sockets and self.connection is not None:
            self.application.client_lost(self.connection)

    def on_close(self) -> None:
        self.application.sockets.discard(self)
        super().on_close()

    def end(self) -> None:
        protocol = self.ws_connection
        self.close(1001, "the server ends")
        if protocol is not None and protocol.stream is not None:
            protocol.stream.close()

    async def on_message(self, fragment: str | bytes) -> None:
        if isinstance(fragment, bytes):  # arrays, of which any number may belong to one message
            self.close(1003, "only texts are taken")
            return
        await super().on_message(fragment)

    async def _handle(self, message: Any) -> Any:
        """Take what widgets send; whatever else could make the document larger ends the connection."""
        events = message.content.get("events", ()) if message.msgtype == "PATCH-DOC" else ()
        if message.msgtype in _TAKEN and all(event.get("kind") in _CHANGES for event in events):
            return await super()._handle(message)
        self.close(1003, "not taken")
        return None

    async def send_message(self, message: Any) -> None:
        with contextlib.suppress(WebSocketClosedError):  # on_close sees to it
            await message.send(self)
