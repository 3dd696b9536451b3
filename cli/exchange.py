"""The running exchange as the operator's tools use it: its APIs, and its broker as the administrator."""

from __future__ import annotations

from typing import Any

import httpx
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from infra.embedded.home import Home
from services.core.avro import Registry
from services.core.kafka import admin_client, consumer, read_to_end
from services.core.settings import Settings

_PATIENCE_SECONDS, _TELLING_SECONDS = 120, 10
_API = {"table": "sync", "rows": "sync"}


class Refused(Exception):
    """What an API said no to, in its own words; `slug` names the problem."""

    def __init__(self, slug: str, detail: str) -> None:
        super().__init__(detail)
        self.slug = slug


class Exchange:
    """An exchange that runs on this machine."""

    def __init__(self, home: Home) -> None:
        self.home = home
        environment = home.environment()
        self.bootstrap = environment["TONGSHU_KAFKA_BOOTSTRAP"]
        self.registry_url = environment["TONGSHU_REGISTRY_URL"]
        self.settings = Settings.model_validate(
            {name.removeprefix("TONGSHU_").lower(): value for name, value in environment.items()}
        )
        self.registry = Registry(self.registry_url)
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {home.secret('operator_token')}"}, timeout=_PATIENCE_SECONDS
        )

    def url(self, service: str) -> str:
        """Where the API of a process is; the parts of the data road share one."""
        return f"http://127.0.0.1:{self.home.ports[service]}/api/{_API.get(service, service)}/v1"

    def ask(self, method: str, service: str, path: str, body: Any = None, *, timeout: float = _PATIENCE_SECONDS) -> Any:
        """What an API answers; raises Refused when it refuses. A change is made to whatever is there."""
        url, headers = self.url(service) + path, {"If-Match": "*"}
        return _body(self._http.request(method, url, json=body, headers=headers, timeout=timeout))

    def send(self, service: str, path: str, data: bytes, kind: str) -> Any:
        """What an API answers to a file of media type `kind`; raises Refused when it refuses."""
        return _body(self._http.post(self.url(service) + path, content=data, headers={"Content-Type": kind}))

    def ensure(self, service: str, path: str, body: Any) -> None:
        """Register what may be there already."""
        try:
            self.ask("POST", service, path, body)
        except Refused as refused:
            if not refused.slug.endswith("-exists"):
                raise

    def tell(self, command: str, outcome: str) -> None:
        """Have the audit log say what an operator's command did; raises Refused, or httpx.HTTPError."""
        body = {"command": command, "outcome": outcome}
        _body(self._http.post(self.url("audit") + "/operations", json=body, timeout=_TELLING_SECONDS))

    def admin(self) -> AdminClient:
        """The broker as its administrator."""
        return admin_client(self.settings, "admin")

    def consumer(self, **more: Any) -> Consumer:
        """A consumer as the broker's administrator, who may read everything."""
        return consumer(self.settings, "admin", "operator", **more)

    def read_all(self, topic: str) -> list[tuple[bytes, bytes | None, int]]:
        """`(key, value, offset)` of all that a topic of one partition holds now."""
        reader = self.consumer(enable_partition_eof=True)
        try:
            reader.assign([TopicPartition(topic, 0, 0)])
            return [(m.key() or b"", m.value(), int(m.offset() or 0)) for m in read_to_end(reader, 1)]
        finally:
            reader.close()


def _body(answer: httpx.Response) -> Any:
    if answer.is_error:
        problem = answer.json()
        raise Refused(problem["type"].rpartition(":")[2], problem["detail"])
    return answer.json() if "json" in answer.headers["content-type"] else answer.text
