"""Serve the review's page to the browser of this computer, and to nothing else.

The server listens on 127.0.0.1 alone. Every address begins with a random token, without which nothing is
answered; a page of another origin cannot read the token, and is refused by its Origin and Sec-Fetch-Site
besides. A Host that is not this server is refused, so that no name can be made to point here. Of paths
nothing but fixed names and numbers of figures are known: no path of a request ever becomes one of a file.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socketserver
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, get_args

from slidemitosis.errors import SlideMitosisError
from slidemitosis.labels import Word
from slidemitosis.review.pictures import VIEWS

if TYPE_CHECKING:
    from slidemitosis.review.pictures import Pictures
    from slidemitosis.review.session import Session

_ASSETS: Final = {
    "": ("review.html", "text/html; charset=utf-8"),
    "review.css": ("review.css", "text/css; charset=utf-8"),
    "review.js": ("review.js", "text/javascript; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",  # pictures of patients do not stay in the browser's cache
}
_LONGEST_BODY = 1000  # bytes


class ReviewServer(ThreadingHTTPServer):
    """The server of one review; `serve_forever` runs until the page says that the person has finished."""

    daemon_threads = True
    # Another program of this computer must not be able to take the port over.
    allow_reuse_address = False

    def __init__(self, session: Session, pictures: Pictures, *, port: int = 0) -> None:
        self.session, self.pictures = session, pictures
        self.token = secrets.token_urlsafe(32)
        self._launch: str | None = secrets.token_urlsafe(32)
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Bind, without asking a name server for the name of this computer."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong, but for a page that was closed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a browser may call this server; the second where a port is forwarded by ssh."""
        return f"127.0.0.1:{self.server_port}", f"localhost:{self.server_port}"

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{self.hosts[0]}/{self.token}/"

    @property
    def launch_url(self) -> str:
        """An address that leads to the page once.

        A browser is started with it, and other users of the computer can see the words that a program is
        started with.
        """
        return f"http://{self.hosts[0]}/{self._launch}"

    def launched(self, word: str) -> bool:
        """Tell whether a word is that of `launch_url`, which ends its use."""
        launch = self._launch
        if launch is None or not _same(word, launch):
            return False
        self._launch = None
        return True


class _Refused(Exception):
    """The request is not answered."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "slidemitosis", ""
    timeout = 300  # seconds in which a connection that says nothing is kept

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, *_: object) -> None:
        """Say nothing: the addresses hold the token."""

    def _answer(self, method: Any) -> None:
        try:
            self._check_origin()
            if self.command == "GET" and self.server.launched(self.path[1:]):
                self._send(HTTPStatus.SEE_OTHER, b"", "text/plain", Location=f"/{self.server.token}/")
                return
            method(self._path())
        except _Refused as e:
            self._refuse(e.status, str(e))
        except SlideMitosisError as e:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, " ".join(str(e).split()))

    def _check_origin(self) -> None:
        origins = [f"http://{host}" for host in self.server.hosts]
        if self.headers.get_all("Host", []) not in [[host] for host in self.server.hosts]:
            raise _Refused(HTTPStatus.FORBIDDEN, "this server has another name")
        origin = self.headers.get("Origin")
        if (origin is not None or self.command != "GET") and origin not in origins:
            raise _Refused(HTTPStatus.FORBIDDEN, "this page does not belong to the review")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            raise _Refused(HTTPStatus.FORBIDDEN, "this page does not belong to the review")

    def _path(self) -> str:
        """Return what follows the token."""
        _, token, *rest = self.path.split("/", 2) if "/" in self.path else ("", "")
        if not rest or not _same(token, self.server.token):
            raise _Refused(HTTPStatus.FORBIDDEN, "the address lacks the token; use the one that was printed")
        return rest[0]

    def _get(self, path: str) -> None:
        session = self.server.session
        if path in _ASSETS:
            name, kind = _ASSETS[path]
            body = (files("slidemitosis.review") / "page" / name).read_bytes()
            self._send(HTTPStatus.OK, body, kind)
        elif path == "session":
            views = [{"name": view.name, "side": view.side} for view in VIEWS]
            self._send_json(session.told() | {"views": views})
        elif path == "agreement":
            self._send_agreement()
        else:
            self._send_picture(*path.split("/"))

    def _send_agreement(self) -> None:
        session = self.server.session
        if session.plan.blind and not session.is_complete:
            # It would change with each answer, and so tell what the other reader said.
            raise _Refused(HTTPStatus.FORBIDDEN, "a blind review shows it when all figures are answered")
        self._send_json({"lines": [str(a) for a in session.agreements()], "apart": session.apart()})

    def _send_picture(self, *parts: str) -> None:
        session = self.server.session
        views = {view.name: view for view in VIEWS}
        if len(parts) != 2 or parts[1] not in views or not parts[0].isdecimal():
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing here")
        slide, figure = session.figures[_number(int(parts[0][:9]), session)]
        png = self.server.pictures.png(session.slides[slide], figure, views[parts[1]])
        self._send(HTTPStatus.OK, png, "image/png")

    def _post(self, path: str) -> None:
        body = self._body()
        session = self.server.session
        if path == "answer":
            number, word = body.get("figure"), body.get("answer")
            words: dict[object, Word] = {known: known for known in get_args(Word)}
            if type(number) is not int or not isinstance(word, str) or word not in words:
                raise _Refused(HTTPStatus.BAD_REQUEST, "no figure, or none of the answers")
            self._send_json(session.answer(_number(number, session), words[word]))
        elif path == "undo":
            self._send_json(session.undo())
        elif path == "finish":
            self.close_connection = True
            self._send_json({})
            self.server.shutdown()
        else:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length[:9]) > _LONGEST_BODY:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "longer than any answer")
        data = self.rfile.read(int(length))
        # A form of another page can send text, but not JSON.
        if self.headers.get("Content-Type") != "application/json":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not JSON")
        try:
            body = json.loads(data)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise _Refused(HTTPStatus.BAD_REQUEST, "not an object of JSON")
        return body

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True  # what else was sent was not read
        self._send(status, reason.encode("utf-8", "backslashreplace"), "text/plain; charset=utf-8")

    def _send_json(self, value: Any) -> None:
        self._send(HTTPStatus.OK, json.dumps(value).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str, **further: str) -> None:
        try:
            self.send_response(status)
            headers = {"Content-Type": kind, "Content-Length": str(len(body))} | _HEADERS | further
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True  # the page was closed, or has gone on to another figure


def _number(number: int, session: Session) -> int:
    if not 0 <= number < len(session.figures):
        raise _Refused(HTTPStatus.NOT_FOUND, "there is no such figure")
    return number


def _same(given: str, secret: str) -> bool:
    """Compare in a time that does not tell how much is right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())
