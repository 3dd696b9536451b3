"""Brings the peers by package name when a benchmark runs, and keeps them with the other tools.

All of it raises RequestException, or CalledProcessError, where there is no network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.embedded.jars import place
from infra.embedded.maven import maven
from infra.embedded.relock import closure
from infra.embedded.toolchain import locate, tools_folder

_COMPLETE = ".complete"
_STREAMS = Path(__file__).with_name("Streams.java")
_QUIX = ["quixstreams==3.28.1", "fastavro==1.13.1"]
# what it reads is compressed by lz4, which its driver does not bring
_FAUST = ["faust-streaming==0.15.3", "aiokafka[lz4]==0.14.0", "click<8.2", "fastavro==1.13.1"]
# Jackson finds its modules by itself, and would find the worker's: there may be only one of it
_PROVIDED = [
    "com.fasterxml.jackson.core",
    "org.apache.kafka",
    "org.slf4j",
    "com.github.luben",
    "org.lz4",
    "org.xerial.snappy",
]
_JDBC_SINK = {
    "wishes": ["io.debezium:debezium-connector-jdbc:3.5.0.Final", "org.apache.kafka:connect-json:4.1.1!"],
    "provided": _PROVIDED,
}
_MIRROR = {
    "wishes": ["org.apache.kafka:connect-mirror:4.3.1!", "org.apache.kafka:connect-mirror-client:4.3.1!"],
    "transitive": False,
}
_KAFKA_STREAMS = {
    # two of them want Jackson, of two versions: the core must be as new as what is built on it
    "wishes": [
        "org.apache.kafka:kafka-streams:4.3.1!",
        "org.apache.avro:avro:1.12.0!",
        "com.fasterxml.jackson.core:jackson-core:2.21.2!",
    ]
}
_COMPILER = {"wishes": ["org.eclipse.jdt:ecj:3.43.0!"], "transitive": False}


def jdbc_sink() -> Path:
    """A folder for Connect's plugin path that holds Debezium's JDBC sink."""
    return _jars("debezium-jdbc", _JDBC_SINK).parent


def mirror() -> Path:
    """The folder with MirrorMaker 2's jars, for the class path of a Connect worker."""
    return _jars("mirror", _MIRROR)


def streams() -> str:
    """The class path of the Kafka Streams application, which is compiled here: its class is `Streams`."""
    folder = _jars("kafka-streams", _KAFKA_STREAMS)
    classes = tools_folder() / "peers" / "streams"
    path = f"{folder}/*"
    made = classes / "Streams.class"
    if not made.exists() or made.stat().st_mtime < _STREAMS.stat().st_mtime:
        compiler, libraries = _jars("ecj", _COMPILER), ":".join(map(str, folder.glob("*.jar")))
        command = [str(locate().java), "-cp", f"{compiler}/*", "org.eclipse.jdt.internal.compiler.batch.Main"]
        subprocess.run([*command, "-21", "-nowarn", "-cp", libraries, "-d", str(classes), str(_STREAMS)], check=True)
    return f"{classes}:{path}"


def quix() -> Path:
    """The Python of an environment of its own in which quixstreams is."""
    return _environment("quix", _QUIX)


def faust() -> Path:
    """The Python of an environment of its own in which faust is, with what it reads our topics by."""
    return _environment("faust", _FAUST)


def _environment(name: str, wishes: Sequence[str]) -> Path:
    folder = tools_folder() / "peers" / name
    python, complete = folder / "bin" / "python", folder / _COMPLETE
    if not complete.exists() or complete.read_text() != repr(wishes):
        uv = shutil.which("uv") or str(tools_folder() / "uv" / "bin" / "uv")
        environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        subprocess.run([uv, "venv", "--quiet", "--clear", str(folder)], check=True, env=environment)
        install = [uv, "pip", "install", "--quiet", "--python", str(python), *wishes]
        subprocess.run(install, check=True, env=environment)
        complete.write_text(repr(wishes))
    return python


def _jars(name: str, wish: dict[str, Any]) -> Path:
    folder = tools_folder() / "peers"
    jars = folder / name
    complete, wished = jars / _COMPLETE, repr(wish)
    if not complete.exists() or complete.read_text() != wished:
        shutil.rmtree(jars, ignore_errors=True)
        for artifact in closure(maven(folder / "cache"), wish):
            found = artifact.resolve()
            place(found, jars / found.name)
        complete.write_text(wished)
    return jars
