"""The server: 127.0.0.1, a free port, and a token that every request's address must hold."""

import asyncio
import math
import secrets
import threading
from time import monotonic
from typing import Any

from meanshift_fast._explore.rows import ExploredRows

LOOK_MILLISECONDS = 250  # between checks of connections
LOAD_SECONDS = 30.0  # from the opening of a page to its connection, at most
AWAY_SECONDS = 2.0  # without a page, after which it is closed; a reload is quicker


class Explorer:
    """A page that is served, by a thread of this process; made by `meanshift_fast.explore.explore`.

    Attributes
    ----------
    url : str
        The address of the page. Its path begins with a token, and nothing is served without it.
    """

    def __init__(self, rows: ExploredRows, parameters: dict[str, Any], *, once: bool) -> None:
        from bokeh.application import Application
        from bokeh.application.handlers.function import FunctionHandler

        self._rows, self._parameters, self._once = rows, parameters, once
        self._views: list[Any] = []
        self._closed: list[Any] = []  # the last one, whose model stays
        self._application = Application(FunctionHandler(self._open_page))
        self._token = secrets.token_urlsafe(24)
        self._last_seen: float | None = None
        self._error: BaseException | None = None
        self._is_up, self._is_over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._serve, name="explorer server", daemon=True)
        self._thread.start()
        self._is_up.wait()
        if self._error is not None:
            raise self._error
        self.url = f"http://127.0.0.1:{self._port}/{self._token}/"

    @property
    def model(self) -> Any:
        """The `MeanShift` of the newest open page, or the last that was closed; None before it."""
        answers = [view.session.answer for view in self._views or self._closed]
        return answers[-1].model if answers and answers[-1] is not None else None

    def wait(self) -> None:
        """Wait until the page is closed, where ``once`` was given, or Ctrl-C."""
        while not self._is_over.wait(0.5):
            pass

    def close(self) -> None:
        """End the server and what it computes."""
        if not self._is_over.is_set():
            self._loop.add_callback(self._stop)
            self._is_over.wait(10)
        if threading.current_thread() is not self._thread:
            self._thread.join(10)

    def __repr__(self) -> str:
        """Write the address."""
        return f"<Explorer at {self.url}>"

    def _repr_html_(self) -> str:
        """Show the page in a notebook."""
        return f'<iframe src="{self.url}" width="100%" height="900" style="border:0"></iframe>'

    def _open_page(self, document: Any) -> None:
        """Make a page in a new document."""
        from meanshift_fast._explore.view import View

        view = View(document, self._rows, dict(self._parameters))
        self._views.append(view)
        self._last_seen = monotonic() + LOAD_SECONDS
        document.on_session_destroyed(lambda _: self._forget(view))

    def _forget(self, view: Any) -> None:
        """Drop a page that was closed; the model of the last one stays."""
        self._views.remove(view)
        self._closed = [view]

    def _serve(self) -> None:
        """Run the server's loop, on its own thread."""
        from tornado.ioloop import IOLoop, PeriodicCallback

        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._loop: Any = IOLoop.current()
        try:
            self._listen()
        except BaseException as error:
            self._error = error
            return
        finally:
            self._is_up.set()
        looking = PeriodicCallback(self._look_for_pages, LOOK_MILLISECONDS)
        looking.start()
        try:
            self._loop.start()
        finally:
            looking.stop()
            self._is_over.set()
            loop.close()

    def _listen(self) -> None:
        """Bind a free port of 127.0.0.1 alone; every path begins with the token."""
        from bokeh.server.server import BaseServer
        from bokeh.server.tornado import BokehTornado
        from tornado.httpserver import HTTPServer
        from tornado.netutil import bind_sockets

        sockets = bind_sockets(0, "127.0.0.1")
        self._port = sockets[0].getsockname()[1]
        served = BokehTornado(
            self._application,
            prefix=self._token,
            extra_websocket_origins=[f"127.0.0.1:{self._port}"],
            secret_key=secrets.token_bytes(32),
            sign_sessions=True,
            ico_path="none",  # an icon would be served without the token
            check_unused_sessions_milliseconds=1_000,
            unused_session_lifetime_milliseconds=60_000,
        )
        http = HTTPServer(served)
        http.add_sockets(sockets)
        self._server = BaseServer(self._loop, served, http)
        self._server.start()

    def _look_for_pages(self) -> None:
        """End where ``once`` was given and the page is closed."""
        if any(session.connection_count for session in self._server.get_sessions()):
            self._last_seen = monotonic()
        elif self._once and monotonic() - (self._last_seen or math.inf) > AWAY_SECONDS:
            self._stop()

    def _stop(self) -> None:
        """End all pages and the loop."""
        for view in self._views:
            view.session.close(wait=False)
        self._server.stop(wait=False)
        self._loop.stop()
