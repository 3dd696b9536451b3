"""An ASGI application on a port of its own, in a thread of the test's process."""

from __future__ import annotations

import socket
import threading
from typing import Any

import uvicorn


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Running:
    """Serves `app` from the moment this is made until `stop`."""

    def __init__(self, app: Any) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_config=None, timeout_graceful_shutdown=1))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        for _ in range(1_000):
            if self._server.started:
                return
            threading.Event().wait(0.02)
        raise AssertionError("it does not start")

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(5)
