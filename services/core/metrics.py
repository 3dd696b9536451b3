"""What a process counts, at `/metrics` in Prometheus' text form or in OpenMetrics.

Names are those the ecosystem has: OpenTelemetry's semantic conventions for HTTP and messaging in their Prometheus form
(`http_server_request_duration_seconds`, `messaging_client_sent_messages_total`), ours begin `tongshu_`. No label holds
personal data, a key or a value, and none is without bounds: topics appear as their kind (`share`), routes as their
template. What is on a hot path counts once a batch.

Whoever is on a loopback address, or in a network of `metrics_networks`, needs no token; others must be ops by one, and
where a process knows no tokens, they see nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials
from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from services.core.problems import Problem
from services.core.settings import Settings
from services.core.words import Words

# as OpenTelemetry's semantic conventions advise for this metric
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_REQUESTS = Histogram(
    "http_server_request_duration_seconds",
    "How long requests took.",
    ("http_request_method", "http_route", "http_response_status_code"),
    buckets=_BUCKETS,
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_templates: dict[int, str] = {}
"""By the id of a route; routes live as long as the process."""

CONSUMED = Counter(
    "messaging_client_consumed_messages",
    "Messages that were taken in.",
    ("messaging_system", "messaging_destination_template", "messaging_consumer_group_name"),
)
SENT = Counter(
    "messaging_client_sent_messages",
    "Messages that were sent, once they are committed.",
    ("messaging_system", "messaging_destination_template"),
)
PROCESSED = Histogram(
    "messaging_process_duration_seconds",
    "How long a batch took from its first message to its commit.",
    ("messaging_system", "messaging_destination_template", "messaging_consumer_group_name"),
    buckets=_BUCKETS,
)


class Measured:
    """Measures every request that passes (ASGI)."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def noting(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
            _REQUESTS.labels(method, _template(scope.get("route")), str(status)).observe(time.perf_counter() - begun)


def install(app: FastAPI, here: Settings) -> None:
    """Measure the requests of `app`, and give it the route `/metrics`."""
    open_to = [ip_network(one.strip()) for one in here.metrics_networks.split(",") if one.strip()]
    app.add_middleware(Measured)

    @app.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        host = request.client.host if request.client else ""
        if not _is_in(host, open_to):
            _require_token(request)
        # exemplars, which lead from a histogram to a trace, are told in OpenMetrics only; who scrapes asks for it
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(REGISTRY), media_type=kind)


def name(route: APIRoute, template: str) -> None:
    """Have requests of `route` counted under the `template` of its whole path."""
    _templates[id(route)] = template


def _template(route: Any) -> str:
    """A route that was included knows its path only from where it was included; what is no route of ours has none."""
    return (_templates.get(id(route)) or route.path_format) if isinstance(route, APIRoute) else ""


def _require_token(request: Request) -> None:
    """Raises a 401 or 403 problem unless a token says that this is ops; where no tokens are known, it is nobody."""
    admit: Callable[..., Any] | None = getattr(request.app.state, "admit_to_metrics", None)
    if admit is None:
        detail = Words(
            "Metrics are told to this machine and to the networks of TONGSHU_METRICS_NETWORKS only.",
            "指标仅对本机及 TONGSHU_METRICS_NETWORKS 所列网段开放。",
        )
        raise Problem(403, "not-allowed", Words("Not allowed", "无权操作"), detail)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    admit(request, HTTPAuthorizationCredentials(scheme=scheme, credentials=token) if token else None)


def collect(collector: Collector) -> None:
    """Have `collector` asked at every scrape."""
    REGISTRY.register(collector)


def _is_in(host: str, networks: Iterable[Any]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or any(address in network for network in networks)
