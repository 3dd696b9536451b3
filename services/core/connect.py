"""Kafka Connect's REST API, and how the exchange's connectors are set up.

The catalogue makes a connector per mount, the bootstrap one for the outboxes; both want the same worker to be asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from services.core.settings import Settings

AVRO_CONVERTER = "io.apicurio.registry.utils.converter.AvroConverter"


class ConnectRefused(Exception):
    """Connect did not take a connector, or its task failed; the reason is in Connect's own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task of a connector: its state, the worker that runs it, and why it has failed, if it has."""

    id: int
    state: str
    worker: str
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a connector is: its own state, whether it and its tasks run, and why it or a task has failed, if one has.

    `kind` is `source` or `sink`, `worker` the one that runs the connector itself.
    """

    state: str
    running: bool
    failure: str | None
    kind: str = "source"
    worker: str = ""
    tasks: tuple[Task, ...] = ()


class Connect:
    """One Connect cluster. Every method raises ConnectRefused when the worker cannot be reached or says no."""

    def __init__(self, settings: Settings) -> None:
        self._http = httpx.Client(
            base_url=settings.connect_url, auth=("tongshu", settings.secret("connect_rest_password")), timeout=30
        )

    def put(self, name: str, config: Mapping[str, str]) -> None:
        """Make the connector, or change its configuration if it is there."""
        self._ask("PUT", f"/connectors/{name}/config", json=dict(config))

    def delete(self, name: str) -> None:
        """Remove the connector; fine if there is none."""
        self._ask("DELETE", f"/connectors/{name}", missing_is_fine=True)

    def remove(self, name: str, timeout: float) -> None:
        """Remove the connector and where it was in its source, so that another of its name begins anew.

        Fine if there is none; raises ConnectRefused when it does not stop within `timeout` seconds.
        """
        if self._ask("GET", f"/connectors/{name}/status", missing_is_fine=True) is None:
            return
        self.stop(name)
        self.wait_until_stopped(name, timeout)
        self._ask("DELETE", f"/connectors/{name}/offsets", missing_is_fine=True)
        self.delete(name)

    def stop(self, name: str) -> None:
        """End the connector's tasks; it stays, and goes on where it was when it is resumed."""
        self._ask("PUT", f"/connectors/{name}/stop")

    def wait_until_stopped(self, name: str, timeout: float) -> None:
        """Return when nothing of the connector runs any more; raises ConnectRefused after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            status = self._ask("GET", f"/connectors/{name}/status", missing_is_fine=True)
            if status is None or (status["connector"]["state"] == "STOPPED" and not status["tasks"]):
                return
            if time.monotonic() > deadline:
                raise ConnectRefused(f"connector {name} does not stop")
            time.sleep(0.1)

    def resume(self, name: str) -> None:
        self._ask("PUT", f"/connectors/{name}/resume")

    def restart(self, name: str) -> None:
        """Start the connector and its tasks again; exactly-once delivery goes on where it was."""
        self._ask("POST", f"/connectors/{name}/restart?includeTasks=true")

    def position(self, name: str) -> dict[str, Any]:
        """Where the connector is in its source, as it was last committed; empty where it has not begun."""
        told = self._ask("GET", f"/connectors/{name}/offsets", missing_is_fine=True) or {"offsets": []}
        return next((dict(one["offset"]) for one in told["offsets"] if one["offset"]), {})

    def move(self, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Let the connector, which is stopped and has begun, go on from where `change` takes its position."""
        told = self._ask("GET", f"/connectors/{name}/offsets")
        moved = [one | {"offset": change(dict(one["offset"]))} for one in told["offsets"] if one["offset"]]
        self._ask("PATCH", f"/connectors/{name}/offsets", json={"offsets": moved})

    def statuses(self) -> dict[str, Status]:
        """The connectors there are, and how each is."""
        found = {}
        for name, told in self._ask("GET", "/connectors?expand=status").items():
            connector, tasks = told["status"]["connector"], told["status"]["tasks"]
            failed = next((part for part in (connector, *tasks) if part["state"] == "FAILED"), None)
            found[name] = Status(
                state=str(connector["state"]),
                running=bool(tasks) and all(part["state"] == "RUNNING" for part in (connector, *tasks)),
                failure=_cause(failed.get("trace", "")) if failed else None,
                kind=str(told["status"].get("type", "source")),
                worker=str(connector["worker_id"]),
                tasks=tuple(_task(one) for one in tasks),
            )
        return found

    def restart_failed(self, name: str) -> None:
        """Start what has failed of a connector again; exactly-once delivery goes on where it was."""
        self._ask("POST", f"/connectors/{name}/restart?includeTasks=true&onlyFailed=true")

    def wait_until_running(self, name: str, timeout: float) -> None:
        """Return when the connector and its task run; raises ConnectRefused with the task's own reason if they fail."""
        deadline = time.monotonic() + timeout
        state = "it was not there yet"
        while time.monotonic() < deadline:
            status = self._ask("GET", f"/connectors/{name}/status", missing_is_fine=True)
            if status:
                parts = [status["connector"], *status["tasks"]]
                failed = next((part for part in parts if part["state"] == "FAILED"), None)
                if failed:
                    raise ConnectRefused(_cause(failed.get("trace", "")))
                if status["tasks"] and all(part["state"] == "RUNNING" for part in parts):
                    return
                state = ", ".join(part["state"] for part in parts)
            time.sleep(0.05)
        raise ConnectRefused(f"connector {name} was not running after {timeout:.0f} s ({state})")

    def _ask(self, method: str, path: str, *, missing_is_fine: bool = False, json: Any = None) -> Any:
        # a worker that rebalances answers 409 and asks to be asked again
        for _ in range(60):
            try:
                answer = self._http.request(method, path, json=json)
            except httpx.HTTPError as error:
                raise ConnectRefused(f"Connect cannot be reached: {type(error).__name__}") from error
            if answer.status_code != httpx.codes.CONFLICT:
                break
            time.sleep(0.25)
        if answer.status_code == httpx.codes.NOT_FOUND and missing_is_fine:
            return None
        if answer.is_error:
            raise ConnectRefused(_message(answer))
        return answer.json() if answer.content else None


def avro_converters(settings: Settings) -> dict[str, str]:
    """Key and value as Avro in Confluent wire format, registered as TopicNameStrategy names them."""
    one = {
        "": AVRO_CONVERTER,
        ".apicurio.registry.url": settings.connect_registry_url,
        ".apicurio.registry.auto-register": "true",
        ".apicurio.registry.find-latest": "true",
        ".apicurio.registry.as-confluent": "true",
        ".apicurio.registry.use-id": "contentId",
        ".apicurio.registry.headers.enabled": "false",
    }
    return {f"{side}.converter{name}": value for side in ("key", "value") for name, value in one.items()}


def _task(told: Mapping[str, Any]) -> Task:
    failure = _cause(told.get("trace", "")) if told["state"] == "FAILED" else None
    return Task(id=int(told["id"]), state=str(told["state"]), worker=str(told["worker_id"]), failure=failure)


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"Connect answered {answer.status_code}"


def _cause(trace: str) -> str:
    """The innermost reason of a Java stack trace, which is the one people can act on."""
    lines = [line for line in trace.splitlines() if line and not line.startswith("\t")]
    return lines[-1].removeprefix("Caused by: ") if lines else "the task failed without a reason"
