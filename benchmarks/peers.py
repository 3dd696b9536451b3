"""Peers that only a benchmark needs: brought by package name when it runs, kept with the other tools."""

from __future__ import annotations

from pathlib import Path

from infra.embedded.jars import maven, place
from infra.embedded.relock import closure
from infra.embedded.toolchain import tools_folder

_COMPLETE = ".complete"
# Jackson finds its modules by itself, and would find the worker's: there may be only one of it
_PROVIDED = [
    "com.fasterxml.jackson.core",
    "org.apache.kafka",
    "org.slf4j",
    "com.github.luben",
    "org.lz4",
    "org.xerial.snappy",
]
_JDBC_SINK = "io.debezium:debezium-connector-jdbc:3.5.0.Final"


def jdbc_sink() -> Path:
    """A folder for Connect's plugin path that holds Debezium's JDBC sink; raises RequestException without a network."""
    folder = tools_folder() / "peers"
    plugin = folder / "debezium-jdbc"
    if not (plugin / _COMPLETE).exists():
        context = maven(folder / "cache")
        wish = {"wishes": [_JDBC_SINK, "org.apache.kafka:connect-json:4.1.1!"], "provided": _PROVIDED}
        for artifact in closure(context, wish):
            found = artifact.resolve()
            place(found, plugin / found.name)
        (plugin / _COMPLETE).touch()
    return folder
