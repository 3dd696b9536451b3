"""`/metrics`: what is counted, and who may look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from services.core import identity
from services.core.http import application, include
from services.core.identity import Anyone, Role, new_token, token_of
from services.core.settings import settings


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "operator_token").write_text("the operator's")
    monkeypatch.setenv("TONGSHU_SECRETS", str(tmp_path))
    monkeypatch.setenv("TONGSHU_METRICS_NETWORKS", "10.1.0.0/16, fd00::/8")
    settings.cache_clear()
    yield
    settings.cache_clear()


def made(role: Role) -> tuple[str, identity.Find]:
    token, token_id, digest = new_token()
    record = {"id": token_id, "digest": digest, "name": "x", "department": None, "roles": [role], "expires_at": None}
    return token, lambda wanted: token_of({**record, "revoked": False}) if wanted == token_id else None


def app_of(find: identity.Find) -> FastAPI:
    app = application("any", {})
    routes = APIRouter()

    @routes.get("/things/{name}")
    def read(name: str, viewer: Anyone) -> str:
        return name

    identity.install(app, find)
    include(app, routes, "/api/any/v1")
    return app


def scraped(text: str, name: str) -> dict[tuple[str, ...], float]:
    """The samples of a name by their labels' values, in the order of the labels' names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


@pytest.mark.parametrize(
    ("host", "role", "status"),
    [
        ("127.0.0.1", None, 200),
        ("::1", None, 200),
        ("10.1.2.3", None, 200),
        ("fd00::7", None, 200),
        ("10.2.2.3", None, 401),
        ("nobody", None, 401),
        ("10.2.2.3", Role.OPS, 200),
        ("10.2.2.3", Role.AUDITOR, 200),
        ("10.2.2.3", Role.CONSUMER, 403),
    ],
)
def test_metrics_are_for_this_machine_for_named_networks_and_for_ops(
    secrets: None, host: str, role: Role | None, status: int
) -> None:
    token, find = made(role or Role.OPS)
    client = TestClient(app_of(find), client=(host, 1))
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {token}"} if role else {})
    assert answer.status_code == status
    assert ("http_server_request_duration_seconds" in answer.text) == (status == 200)


def test_requests_are_counted_by_route_and_never_by_what_they_name(secrets: None) -> None:
    token, find = made(Role.OPS)
    client = TestClient(app_of(find), client=("127.0.0.1", 1))
    for name in ("王小明", "110105194912310020"):
        assert client.get(f"/api/any/v1/things/{name}", headers={"Authorization": f"Bearer {token}"}).is_success
        assert client.get(f"/{name}").status_code == 404
    text = client.get("/metrics").text
    counts = scraped(text, "http_server_request_duration_seconds_count")
    assert counts["GET", "200", "/api/any/v1/things/{name}"] >= 2
    assert counts["GET", "404", ""] >= 2
    assert "王小明" not in text and "110105194912310020" not in text


def test_a_process_that_knows_no_tokens_tells_strangers_nothing(secrets: None) -> None:
    app = application("any", {})
    assert TestClient(app, client=("127.0.0.1", 1)).get("/metrics").is_success
    answer = TestClient(app, client=("10.2.2.3", 1)).get("/metrics", headers={"Authorization": "Bearer the operator's"})
    assert answer.status_code == 403 and "process_" not in answer.text
