"""What docker-compose.yml and the Dockerfile name is there, and containers are the processes of the embedded exchange.

No engine runs them here. So all that can be known without one is checked: against the compose specification, and the
code (parts, settings, secrets, routes, ports); and what a container's start makes of its files is really made.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from dockerfile_parse import DockerfileParser
from fastapi.routing import APIRoute
from pydantic import ValidationError
from secrets_read import parsed, path_of, reached, secrets_read

from infra import bootstrap, configuration
from infra import secrets as made
from infra.embedded import home as homes
from infra.embedded.jars import locked
from infra.embedded.parts import INITDB_OPTIONS, Part, parts
from infra.embedded.toolchain import Toolchain
from services.core.http import application
from services.core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"
FOLDER = "/configuration/"
BUILT = ("tongshu_projection", "tongshu_sealing")
"""What a stage of the image builds and the last one copies; no package of the lock."""
START, STARTED_BY = "/start.sh", ["/bin/sh", "/start.sh"]

Compose = dict[str, Any]

# Variables that an image of others knows by itself: Postgres's entrypoint, Kafka's scripts (bin/kafka-run-class.sh and
# bin/kafka-server-start.sh), Quarkus, and the run-java.sh of the registry's base image.
KNOWN_VARIABLES = {
    "postgres": {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE", "POSTGRES_INITDB_ARGS"},
    "kafka": {"KAFKA_HEAP_OPTS", "KAFKA_LOG4J_OPTS", "LOG_DIR", "EXTRA_ARGS"},
    "connect": {"KAFKA_HEAP_OPTS", "KAFKA_LOG4J_OPTS", "KAFKA_OPTS", "LOG_DIR"},
    "registry": {"QUARKUS_CONFIG_LOCATIONS", "JAVA_OPTS_APPEND"},
    "redis": set(),
}
FURTHER = {"relay": "sync"}
"""Further containers of a part of the embedded exchange, none unless somebody asks for them."""
# Where an image of others keeps its data, as its Dockerfile's VOLUME has it: a volume elsewhere would hold nothing; and
# where ours does.
DATA = {"postgres": "/var/lib/postgresql", "kafka": "/var/lib/kafka/data", "audit": str(Settings().audit_folder)}


@cache
def compose_text() -> str:
    return json.dumps(yaml.safe_load(COMPOSE.read_text()))


def compose() -> Compose:
    """The document, in which nothing is shared any more by way of YAML's anchors."""
    read: Compose = json.loads(compose_text())
    return read


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Part]:
    """The parts of an embedded exchange, none of them started."""
    folder = tmp_path_factory.mktemp("embedded")
    tools = Toolchain(folder / "java", "kafka", "connect", folder, folder, folder, folder / "redis", None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TONGSHU_HOME", str(folder / "home"))
        patch.setenv("TONGSHU_TOOLS", str(folder))
        return {part.name: part for part in parts(homes.prepare(), tools)}


# -- reading the compose file ------------------------------------------------------------------------------------------


def is_ours(service: Compose) -> bool:
    return service.get("build", {}).get("target") == "exchange"


def environment(service: Compose) -> dict[str, str]:
    return service.get("environment") or {}


def mounted(document: Compose, service: Compose) -> dict[str, Path]:
    """The configuration files of a service, by the path at which it sees them."""
    files = document.get("configs") or {}
    return {
        one["target"]: ROOT / files[one["source"]]["file"]
        for one in service.get("configs", [])
        if one["source"] in files
    }


def templates(document: Compose, service: Compose) -> dict[str, Path]:
    """Those that the container's start fills in, by name."""
    if service.get("entrypoint") != STARTED_BY:
        return {}
    return {at.removeprefix(FOLDER): path for at, path in mounted(document, service).items() if at.startswith(FOLDER)}


def placeholders(path: Path) -> set[str]:
    return set(re.findall(r"\$\{(\w+)\}", path.read_text())) if path.is_file() else set()


def words(value: object) -> Iterator[str]:
    """All text in a part of the document."""
    if isinstance(value, dict):
        for one in value.values():
            yield from words(one)
    elif isinstance(value, list):
        for one in value:
            yield from words(one)
    elif isinstance(value, str):
        yield value


def what_it_runs(document: Compose, service: Compose) -> str:
    """All commands of a service, with the scripts that they call."""
    named = [service.get(key) for key in ("entrypoint", "command", "healthcheck", "environment")]
    scripts = [path for at, path in mounted(document, service).items() if not at.startswith(FOLDER) and at != START]
    return "\n".join([*(word for one in named for word in words(one)), *(path.read_text() for path in scripts)])


def filled_in(document: Compose, name: str, secret: Callable[[str], str] = str) -> dict[str, str]:
    service = document["services"][name]
    return {file: configuration.filled_in(file, environment(service), secret) for file in templates(document, service)}


def listens(document: Compose, name: str) -> set[int]:
    """The ports at which a service listens, as its configuration has them."""
    service = document["services"][name]
    if is_ours(service):
        return {int(environment(service)["TONGSHU_HTTP_PORT"])} if "healthcheck" in service else set()
    if name == "postgres":
        return {int(configuration.postgres_settings().get("port", 5432))}
    settings = {
        setting: value
        for text in filled_in(document, name).values()
        for setting, value in re.findall(r"^([\w.]+)[ =](.*)$", text, re.MULTILINE)
    }
    told = ("listeners", "port", "quarkus.http.port", "quarkus.management.port")
    return {int(port) for setting in told for port in re.findall(r"(?:^|:)(\d+)", settings.get(setting, ""))}


# -- what can be wrong with it -----------------------------------------------------------------------------------------


def wrong_with_the_parts(document: Compose, embedded: dict[str, Part]) -> Iterator[str]:
    services = document["services"]
    embedded = embedded | {name: embedded[of] for name, of in FURTHER.items()}
    for name in FURTHER:
        if services.get(name, {}).get("scale") != 0 or "ports" in services[name]:
            yield f"{name} runs unasked, or only once"
    if services.keys() != embedded.keys():
        yield f"not the parts of the embedded exchange: {', '.join(sorted(services.keys() ^ embedded.keys()))}"
    for name in services.keys() & embedded.keys():
        service, part = services[name], embedded[name]
        needs = {
            need: "service_completed_successfully" if embedded[need].once else "service_healthy" for need in part.needs
        }
        told = {need: how.get("condition") for need, how in service.get("depends_on", {}).items()}
        if told != needs:
            yield f"{name} depends on {told}, but needs {needs}"
        if not part.once and service.get("stop_grace_period") != f"{part.grace_seconds:.0f}s":
            yield f"{name} is not given {part.grace_seconds:.0f} s to stop"
        if part.once == ("healthcheck" in service):
            yield f"{name} has {'a' if part.once else 'no'} health check"
        if service.get("restart") != ("on-failure:5" if part.once else "unless-stopped"):
            yield f"{name} is restarted {service.get('restart')}"
        if is_ours(service) and service.get("command") != ["python", *part.command[1:]]:
            yield f"{name} runs {service.get('command')}, the embedded exchange {part.command}"


def wrong_with_commands(document: Compose) -> Iterator[str]:
    for name, service in document["services"].items():
        command = service.get("command") or []
        if is_ours(service):
            if command[:2] != ["python", "-m"] or len(command) < 3:
                yield f"{name}: {command} is no module of ours"
                continue
            module, rest = command[2], command[3:]
            if not (path_of(module) or path_of(f"{module}.__main__")):
                yield f"{name}: there is no module {module}"
            elif rest and (module != bootstrap.__name__ or len(rest) != 1 or rest[0] not in bootstrap.STEPS):
                yield f"{name}: {module} has no {rest}"
            continue
        runs = what_it_runs(document, service)
        there = {
            *mounted(document, service),
            *(f"/tmp/configuration/{file}" for file in templates(document, service)),
            *(f"/run/secrets/{secret}" for secret in service.get("secrets", [])),
        }
        for path in re.findall(r"(?:/tmp/configuration|/configuration|/run/secrets)/[\w.]+|(?<!\S)/\w+\.sh", runs):
            if path not in there:
                yield f"{name} uses {path}, which is not mounted"


def wrong_with_variables(document: Compose) -> Iterator[str]:
    fields = {f"TONGSHU_{field.upper()}": field for field in Settings.model_fields}
    places = {name for name, field in fields.items() if "127.0.0.1" in str(Settings.model_fields[field].default)}
    if found := re.findall(r"(?<!\$)\$(?!\$)[\w{]*", "\n".join(words(document))):
        yield f"{', '.join(found)} would be taken from the shell of whoever starts it"
    for name, service in document["services"].items():
        told = environment(service)
        if not all(isinstance(value, str) for value in told.values()):
            yield f"{name}: a variable that is no text"
        if is_ours(service):
            if unknown := told.keys() - fields.keys():
                yield f"{name}: {', '.join(sorted(unknown))} is no setting"
            if missing := places - told.keys():
                yield f"{name}: {', '.join(sorted(missing))} would be this container itself"
            try:
                Settings.model_validate({fields[one]: value for one, value in told.items() if one in fields})
            except ValidationError as error:
                yield f"{name}: {error}"
            continue
        wanted = {one for path in templates(document, service).values() for one in placeholders(path) if one.isupper()}
        scripts = set(re.findall(r"\$\{?([A-Z]\w+)", what_it_runs(document, service)))
        if missing := (wanted | scripts) - told.keys():
            yield f"{name}: {', '.join(sorted(missing))} is not set"
        if unknown := told.keys() - wanted - scripts - KNOWN_VARIABLES.get(name, set()):
            yield f"{name}: nothing reads {', '.join(sorted(unknown))}"
    if tuple(document["services"]["postgres"]["environment"]["POSTGRES_INITDB_ARGS"].split()) != INITDB_OPTIONS:
        yield "the database is not made as the embedded one is"


def wrong_with_secrets(document: Compose) -> Iterator[str]:
    known = {*made.PASSWORDS, *made.KEYS, *made.VAULT_KEYS}
    defined = document.get("secrets") or {}
    mounts: set[str] = set()
    for name, service in document["services"].items():
        given = set(service.get("secrets", []))
        mounts |= given
        if is_ours(service):
            module, *step = service["command"][2:]
            read = secrets_read(module, step[0]) if step else secrets_read(f"{module}.__main__")
        else:
            files = templates(document, service).values()
            read = {one for path in files for one in placeholders(path) if one.islower()}
            read |= set(re.findall(r"/run/secrets/(\w+)", what_it_runs(document, service)))
        if missing := read - given:
            yield f"{name} reads {', '.join(sorted(missing))}, which it is not given"
        if idle := given - read:
            yield f"{name} is given {', '.join(sorted(idle))}, which it does not read"
    if mounts != defined.keys():
        yield f"secrets defined or mounted, but not both: {', '.join(sorted(mounts ^ defined.keys()))}"
    for name, secret in defined.items():
        if name not in known:
            yield f"nothing makes the secret {name}"
        if secret != {"file": f"./.secrets/{name}"}:
            yield f"the secret {name} is not the file that infra.secrets makes"


def wrong_with_files(document: Compose) -> Iterator[str]:
    defined = document.get("configs") or {}
    used = {one["source"] for service in document["services"].values() for one in service.get("configs", [])}
    if used != defined.keys():
        yield f"files defined or mounted, but not both: {', '.join(sorted(used ^ defined.keys()))}"
    for name, one in defined.items():
        if not (ROOT / one["file"]).is_file():
            yield f"{name} is {one['file']}, which is not there"
    written = [path for path in (ROOT / "infra/configuration").iterdir() if path.is_file() and path.suffix != ".py"]
    written += [path for path in (ROOT / "infra/compose").iterdir() if path.is_file()]
    if idle := {path.name for path in written} - {Path(one["file"]).name for one in defined.values()}:
        yield f"no container is given {', '.join(sorted(idle))}"
    for name, service in document["services"].items():
        for one in service.get("configs", []):
            if Path(one["target"]).name != one["source"]:
                yield f"{name} sees {one['source']} as {one['target']}"


def wrong_with_volumes(document: Compose) -> Iterator[str]:
    used: set[str] = set()
    for name, service in document["services"].items():
        for volume in service.get("volumes", []):
            source, _, target = volume.partition(":")
            used.add(source)
            if target != DATA.get(name):
                yield f"{name} keeps nothing in {target}"
        if name in DATA and not service.get("volumes"):
            yield f"what {name} knows is lost with its container"
    if used != (document.get("volumes") or {}).keys():
        yield f"volumes defined or mounted, but not both: {used ^ (document.get('volumes') or {}).keys()}"
    folder = environment(document["services"]["kafka"]).get("KAFKA_LOG_FOLDER", "")
    if not Path(folder).is_relative_to(DATA["kafka"]):
        yield f"the broker's log {folder} is not in its volume"


def wrong_with_ports_and_addresses(document: Compose) -> Iterator[str]:
    services = document["services"]
    published: set[str] = set()
    for name, service in services.items():
        for port in service.get("ports", []):
            host, _, rest = port.rpartition("127.0.0.1:")
            outer, _, inner = rest.partition(":")
            if host or not rest or port == rest:
                yield f"{name}: {port} is not bound to loopback"
            elif not inner.isdigit() or int(inner) not in listens(document, name):
                yield f"{name} does not listen on {inner}"
            if outer in published:
                yield f"{name}: {outer} is published twice"
            published.add(outer)
            if all((document["networks"].get(one) or {}).get("internal") for one in service["networks"]):
                yield f"{name}: {port} cannot be published from an internal network"
        texts = [*environment(service).values(), *filled_in(document, name).values()]
        addresses = {
            *re.findall(r"(?:^|//|=|@)([a-z][\w.-]*):(\d+)", "\n".join(texts), re.MULTILINE),
            *((environment(service).get(f"TONGSHU_{one}_HOST", one), port) for one, port in default_ports(service)),
        }
        for host, port in addresses:
            if host not in services:
                yield f"{name}: there is no {host}"
            elif int(port) not in listens(document, host):
                yield f"{name}: {host} does not listen on {port}"
            elif host != name and not set(service["networks"]) & set(services[host]["networks"]):
                yield f"{name} shares no network with {host}"
        advertised = environment(service).get("KAFKA_ADVERTISED_LISTENERS", "")
        for port in re.findall(r"127\.0\.0\.1:(\d+)", advertised):
            if f"127.0.0.1:{port}:{port}" not in service.get("ports", []):
                yield f"{name} sends clients to port {port} of this host, which is not published"
        if unknown := set(service["networks"]) - document["networks"].keys():
            yield f"{name}: there is no network {unknown}"


def default_ports(service: Compose) -> list[tuple[str, str]]:
    if not is_ours(service):
        return []
    told = environment(service)
    return [
        (one, told.get(f"TONGSHU_{one.upper()}_PORT", str(Settings.model_fields[f"{one}_port"].default)))
        for one in ("postgres", "redis")
    ]


@cache
def routes() -> set[str]:
    """What every process of ours answers."""
    return {route.path for route in application("any", {}).routes if isinstance(route, APIRoute)}


def wrong_with_health_checks(document: Compose) -> Iterator[str]:
    for name, service in document["services"].items():
        check = " ".join(words(service.get("healthcheck", {}).get("test")))
        for url in re.findall(r"http://[^'\"\s]+", check):
            told = urlsplit(url)
            if told.hostname != "127.0.0.1" or told.port not in listens(document, name):
                yield f"{name}: its health check asks {told.netloc}, where it does not listen"
            if is_ours(service) and told.path not in routes():
                yield f"{name}: no route {told.path}"
        for port in re.findall(r"/dev/tcp/127\.0\.0\.1/(\d+)|(?:-p |127\.0\.0\.1:)(\d+)", check):
            if int("".join(port)) not in listens(document, name):
                yield f"{name}: its health check asks port {''.join(port)}, where it does not listen"
        if "registry" in name and "GET /health/ready " not in check:
            yield f"{name}: not the health check of the embedded exchange"


def wrong_with_safety(document: Compose) -> Iterator[str]:
    for name, service in document["services"].items():
        user = service.get("user") or (image_user() if is_ours(service) else None)
        if not user or user.split(":")[0] in ("root", "0"):
            yield f"{name} runs as root"
        if service.get("read_only") is not True:
            yield f"{name} can write to its root file system"
        if not any(one.startswith("/tmp:") for one in service.get("tmpfs", [])):
            yield f"{name} has no /tmp to write to"
        if service.get("cap_drop") != ["ALL"] or service.get("privileged") or service.get("cap_add"):
            yield f"{name} keeps capabilities"
        if "no-new-privileges:true" not in service.get("security_opt", []):
            yield f"{name} may gain privileges"


@cache
def locked_versions() -> dict[str, str]:
    return {jar.artifact: jar.version for jar in locked()}


def wrong_with_images(document: Compose) -> Iterator[str]:
    jars = locked_versions()
    versions = {
        "kafka": f"apache/kafka:{jars['kafka_2.13']}",
        "registry": f"apicurio/apicurio-registry:{jars['apicurio-registry-app']}",
    }
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    stages = {stage for stage, _ in dockerfile_stages()}
    for name, service in document["services"].items():
        image = service["image"]
        if not re.search(r":\d+\.\d+[\w.-]*$", image):
            yield f"{name}: {image} is not pinned"
        if versions.get(name, image) != image:
            yield f"{name}: {image} is not the version of the embedded exchange, {versions[name]}"
        if build := service.get("build"):
            if build["target"] not in stages:
                yield f"{name}: the Dockerfile has no stage {build['target']}"
            if image != f"tongshu/{build['target']}:{version}":
                yield f"{name}: {image} is not called by its stage and the project's version"
    if not document["services"]["postgres"]["image"].startswith("postgres:18."):
        yield "postgres: not the major version of the embedded exchange, 18"


def problems(document: Compose, embedded: dict[str, Part]) -> list[str]:
    """All that is wrong with a compose document, apart from its form."""
    checks: list[Callable[[Compose], Iterator[str]]] = [
        partial(wrong_with_the_parts, embedded=embedded),
        wrong_with_commands,
        wrong_with_variables,
        wrong_with_secrets,
        wrong_with_files,
        wrong_with_volumes,
        wrong_with_ports_and_addresses,
        wrong_with_health_checks,
        wrong_with_safety,
        wrong_with_images,
    ]
    found: list[str] = []
    for check in checks:
        try:
            found += check(document)
        except Exception as error:  # noqa: BLE001  a document so broken that a check falls over it is wrong as well
            found.append(f"{getattr(check, '__name__', 'parts')}: {type(error).__name__}: {error}")
    return found


def form_of(path: Path) -> subprocess.CompletedProcess[str]:
    """What the compose specification says to a file."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# -- docker-compose.yml ------------------------------------------------------------------------------------------------


def test_the_compose_file_has_the_form_of_the_specification() -> None:
    checked = form_of(COMPOSE)
    assert checked.returncode == 0, checked.stdout


def test_all_that_the_compose_file_names_is_there_and_is_the_embedded_exchange(embedded: dict[str, Part]) -> None:
    assert problems(compose(), embedded) == []


def put(*path: str, value: object) -> Callable[[Compose], None]:
    """A way to break the document: `value` at `path`, or nothing there when it is None."""

    def change(document: Compose) -> None:
        at: Any = document
        for step in path[:-1]:
            at = at.setdefault(step, {})
        if value is None:
            del at[path[-1]]
        else:
            at[path[-1]] = value

    return change


service = partial(put, "services")

BREAKAGES: dict[str, tuple[Callable[[Compose], None], str]] = {
    "service missing": (service("audit", value=None), "not the parts"),
    "service nobody knows": (service("zookeeper", value={"image": "zookeeper:3.9", "networks": []}), "not the parts"),
    "need missing": (service("sync", "depends_on", "redis", value=None), "sync depends on"),
    "need too weak": (service("schemas", "depends_on", "registry", "condition", value="service_started"), "depends on"),
    "step not awaited": (
        service("demand", "depends_on", "schemas", "condition", value="service_healthy"),
        "demand depends on",
    ),
    "killed too soon": (service("kafka", "stop_grace_period", value="10s"), "kafka is not given 60 s"),
    "no health check": (service("connect", "healthcheck", value=None), "connect has no health check"),
    "step runs for ever": (service("broker", "restart", value="unless-stopped"), "broker is restarted"),
    "module nobody wrote": (service("audit", "command", value=["python", "-m", "services.audits"]), "no module"),
    "step nobody wrote": (service("broker", "command", value=["python", "-m", "infra.bootstrap", "acls"]), "has no"),
    "another's command": (service("audit", "command", value=["python", "-m", "services.sync"]), "audit runs"),
    "file not mounted": (
        service("redis", "command", value=["redis-server", "/tmp/configuration/valkey.conf"]),
        "/tmp/configuration/valkey.conf, which is not mounted",
    ),
    "script not mounted": (service("kafka", "command", value=["/bin/sh", "/broker.sh"]), "/broker.sh"),
    "unknown setting": (service("sync", "environment", "TONGSHU_KAFKA", value="kafka:9092"), "is no setting"),
    "setting of a wrong kind": (service("sync", "environment", "TONGSHU_REDIS_PORT", value="redis"), "redis_port"),
    "place forgotten": (
        service("demand", "environment", "TONGSHU_CATALOG_URL", value=None),
        "TONGSHU_CATALOG_URL would be this container itself",
    ),
    "template's place forgotten": (
        service("registry", "environment", "POSTGRES_ADDRESS", value=None),
        "POSTGRES_ADDRESS is not set",
    ),
    "variable nobody reads": (service("redis", "environment", "REDIS_PASSWORD", value="x"), "nothing reads REDIS_PASS"),
    "variable of the shell": (service("postgres", "environment", "POSTGRES_USER", value="$USER"), "$USER would be"),
    "secret not given": (
        service("sync", "secrets", value=["postgres_sync_password", "kafka_sync_password", "operator_token"]),
        "sync reads pseudonym_key",
    ),
    "secret that is not read": (
        service("audit", "secrets", value=["kafka_audit_password", "audit_signing_key", "pseudonym_key"]),
        "audit is given pseudonym_key",
    ),
    "another's secret": (
        service("kafka", "secrets", value=["kafka_admin_password", "redis_password"]),
        "kafka reads kafka_controller_password",
    ),
    "secret nobody makes": (put("secrets", "tls_key", value={"file": "./.secrets/tls_key"}), "nothing makes"),
    "secret elsewhere": (put("secrets", "operator_token", value={"file": "./token"}), "operator_token is not the file"),
    "file that is not there": (put("configs", "redis.conf", value={"file": "./redis.conf"}), "which is not there"),
    "file without a mount": (service("connect", "configs", value=[]), "worker.jaas"),
    "volume at a wrong place": (
        service("postgres", "volumes", value=["postgres:/var/lib/postgresql/data"]),
        "postgres keeps nothing in",
    ),
    "volume forgotten": (service("kafka", "volumes", value=None), "what kafka knows is lost"),
    "volume nobody defined": (put("volumes", "kafka", value=None), "volumes defined or mounted"),
    "log outside the volume": (service("kafka", "environment", "KAFKA_LOG_FOLDER", value="/tmp/log"), "not in its vol"),
    "port open to all": (service("registry", "ports", value=["8080:8080"]), "not bound to loopback"),
    "port open to all, by number": (service("registry", "ports", value=["0.0.0.0:8080:8080"]), "bound to loopback"),
    "port nobody listens on": (service("audit", "ports", value=["127.0.0.1:8004:8004"]), "does not listen on 8004"),
    "port taken twice": (service("audit", "ports", value=["127.0.0.1:8003:8000"]), "8003 is published twice"),
    "address nobody has": (
        service("sync", "environment", "TONGSHU_KAFKA_BOOTSTRAP", value="broker.local:9092"),
        "there is no broker",
    ),
    "address at a wrong port": (
        service("catalog", "environment", "TONGSHU_CONNECT_URL", value="http://connect:8080"),
        "connect does not listen on 8080",
    ),
    "database elsewhere": (service("demand", "environment", "TONGSHU_POSTGRES_PORT", value="5433"), "listen on 5433"),
    "listener not published": (service("kafka", "ports", value=[]), "sends clients to port 9094"),
    "no network": (service("postgres", "networks", value=["outside"]), "databases shares no network with postgres"),
    "unpublishable": (service("audit", "networks", value=["exchange"]), "cannot be published"),
    "route nobody wrote": (
        service("audit", "healthcheck", "test", value=["CMD", "curl", "http://127.0.0.1:8000/health"]),
        "no route /health",
    ),
    "health of another port": (
        service("audit", "healthcheck", "test", value=["CMD", "curl", "http://127.0.0.1:8004/readyz"]),
        "where it does not listen",
    ),
    "root": (service("redis", "user", value="root"), "redis runs as root"),
    "image's own root": (service("postgres", "user", value=None), "postgres runs as root"),
    "writable": (service("sync", "read_only", value=False), "can write to its root"),
    "capable": (service("sync", "cap_add", value=["NET_ADMIN"]), "keeps capabilities"),
    "latest": (service("redis", "image", value="redis:latest"), "is not pinned"),
    "another broker": (service("kafka", "image", value="apache/kafka:4.2.0"), "not the version of the embedded"),
    "another registry": (service("registry", "image", value="apicurio/apicurio-registry:3.0.6"), "not the version of"),
    "another Postgres": (service("postgres", "image", value="postgres:17.6"), "not the major version"),
    "stage nobody wrote": (service("connect", "build", "target", value="worker"), "no stage worker"),
    "database of another kind": (
        service("postgres", "environment", "POSTGRES_INITDB_ARGS", value="-A trust"),
        "not made as the embedded one",
    ),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_what_is_broken_is_found(breakage: str, embedded: dict[str, Part]) -> None:
    change, said = BREAKAGES[breakage]
    document = compose()
    change(document)
    found = problems(document, embedded)
    assert any(said in one for one in found), found


@pytest.mark.parametrize(
    "change",
    [service("kafka", "port", value=["9092"]), service("sync", "healthcheck", "test", value=7)],
    ids=["unknown key", "wrong type"],
)
def test_a_file_of_another_form_is_refused(change: Callable[[Compose], None], tmp_path: Path) -> None:
    document = compose()
    change(document)
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(yaml.safe_dump(document))
    assert form_of(broken).returncode == 1


# -- secrets and configuration files -----------------------------------------------------------------------------------


def test_the_secrets_for_containers_are_made_once_and_can_be_read_there_only(tmp_path: Path) -> None:
    folder = tmp_path / ".secrets"
    # by another Python than the environment's: who has an engine needs nothing else
    command = [sys.executable, "-I", "-S", "-c", "import sys, runpy; sys.path.insert(0, sys.argv.pop(1))"]
    command[-1] += "; runpy.run_module('infra.secrets', run_name='__main__', alter_sys=True)"
    run = partial(subprocess.run, [*command, str(ROOT), str(folder)], check=True, capture_output=True, umask=0o077)
    run()
    first = {path.name: path.read_text() for path in folder.iterdir()}
    run()
    assert {path.name: path.read_text() for path in folder.iterdir()} == first
    assert compose()["secrets"].keys() <= first.keys()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}


SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", [name for name, one in compose()["services"].items() if one.get("entrypoint")])
def test_a_container_fills_its_files_in_as_the_embedded_exchange_does(shell: str, name: str, tmp_path: Path) -> None:
    document = compose()
    made.make(tmp_path)
    (tmp_path / "templates").mkdir()
    for file, path in templates(document, document["services"][name]).items():
        shutil.copy(path, tmp_path / "templates" / file)
    started = start(shell, tmp_path, environment(document["services"][name]), "printf", "%s", "as asked")
    assert started.stdout == "as asked", started.stderr
    expected = filled_in(document, name, lambda secret: (tmp_path / secret).read_text())
    assert {path.name: path.read_text() for path in (tmp_path / "made").iterdir()} == expected
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "made").iterdir()} == {0}


@pytest.mark.parametrize("template", ["a=${PLACE}", "a=${secret}", "a=${}", "a=${../x}"])
@pytest.mark.parametrize("shell", SHELLS)
def test_a_container_that_lacks_something_does_not_start(shell: str, template: str, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/file").write_text(template)
    started = start(shell, tmp_path, {}, "printf", "%s", "as asked")
    assert started.returncode != 0
    assert started.stdout == ""
    assert started.stderr


def start(shell: str, folder: Path, told: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    places = {"TEMPLATES": str(folder / "templates"), "SECRETS": str(folder), "FILLED_IN": str(folder / "made")}
    words = [shell, *(["sh"] if shell == "busybox" else []), str(ROOT / "infra/compose/start.sh"), *command]
    variables = {"PATH": os.environ["PATH"], **told, **places}
    return subprocess.run(words, env=variables, capture_output=True, text=True, check=False)


# -- the Dockerfile ----------------------------------------------------------------------------------------------------


@cache
def dockerfile() -> DockerfileParser:
    return DockerfileParser(fileobj=io.BytesIO(DOCKERFILE.read_bytes()))


@cache
def dockerfile_stages() -> list[tuple[str, list[dict[str, Any]]]]:
    """The stages: a name, and its instructions, `FROM` first."""
    stages: list[tuple[str, list[dict[str, Any]]]] = []
    for one in dockerfile().structure:
        if one["instruction"] == "FROM":
            stages.append((one["value"].partition(" AS ")[2], []))
        if stages:
            stages[-1][1].append(one)
    return stages


def instructions(stage: str, kind: str) -> list[str]:
    return [one["value"] for one in dict(dockerfile_stages())[stage] if one["instruction"] == kind]


def image_user() -> str:
    return (instructions("exchange", "USER") or [""])[-1]


def from_the_checkout(stage: str) -> list[tuple[list[str], str]]:
    """What a stage copies out of the checkout: sources, and where they go."""
    copied = [value.split() for value in instructions(stage, "COPY") if "--from=" not in value]
    return [(one[:-1], one[-1]) for one in copied]


def laid_out(stage: str, target: Path) -> None:
    """Copy to `target` what a stage copies into its work folder, as an engine does: a folder's contents, not itself."""
    for sources, to in from_the_checkout(stage):
        for source in sources:
            if (ROOT / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, target / to, dirs_exist_ok=True, ignore=ignored)
            else:
                (target / to).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, target / to)


def test_every_stage_begins_and_copies_from_what_is_there() -> None:
    arguments = dict(value.split("=") for one in dockerfile().structure if one["instruction"] == "ARG"
                     for value in [one["value"]])  # fmt: skip
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    before: set[str] = set()
    for stage, content in dockerfile_stages():
        assert stage and stage not in before
        base = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], content[0]["value"].split()[0])
        assert base in before or re.search(r":\d+\.\d+\.\d+", base), f"{stage}: {base} is not pinned"
        for value in instructions(stage, "COPY"):
            if found := re.match(r"--from=(\S+)", value):
                assert found[1] in before, value
        for sources, _ in from_the_checkout(stage):
            for source in sources:
                assert (ROOT / source).exists(), f"{stage}: there is no {source}"
                assert source.split("/")[0] in let_in, f"{source} is kept out by .dockerignore"
        before.add(stage)
    assert "*" in ignored, "what is not named must stay out of the images: .secrets, .tongshu"
    assert instructions("connect", "FROM") == ["apache/kafka:${CONNECT_VERSION} AS connect"]
    connect = next(jar for jar in locked() if jar.artifact == "connect-runtime" and "connect" in jar.sets)
    assert arguments["CONNECT_VERSION"] == connect.version


def test_the_images_have_the_projects_python_and_uv() -> None:
    arguments = [one["value"] for one in dockerfile().structure if one["instruction"] == "ARG"]
    version = next(value.split("=")[1] for value in arguments if value.startswith("PYTHON_VERSION="))
    least = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert [int(one) for one in version.split(".")[:2]] >= [int(one) for one in least.split(".")]
    uv = re.search(r"^UV_VERSION=(\S+)$", (ROOT / "tongshu").read_text(), re.MULTILINE)
    assert uv and f"uv=={uv[1]}" in DOCKERFILE.read_text()


def test_the_plugins_come_by_a_module_that_is_in_their_stage(tmp_path: Path) -> None:
    command = next(one for one in instructions("plugins", "RUN") if "-m" in one).split()
    module, folder = command[command.index("-m") + 1 :]
    laid_out("plugins", tmp_path)
    usage = run_in(tmp_path, "-m", module)
    assert usage.returncode == 2 and "FOLDER" in usage.stderr, usage.stderr
    assert instructions("connect", "COPY")[0].split()[1:] == [
        folder,
        compose()["services"]["connect"]["environment"]["CONNECT_PLUGINS"],
    ]


def run_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )


def commands_of_ours() -> list[list[str]]:
    return [one["command"] for one in compose()["services"].values() if is_ours(one)]


def test_the_image_holds_all_that_its_commands_need(tmp_path: Path) -> None:
    laid_out("exchange", tmp_path)
    modules = {f"{one[2]}.__main__" if len(one) == 3 else one[2] for one in commands_of_ours()}
    for module in sorted(modules):
        imported = run_in(tmp_path, "-c", f"import {module} as m; print(m.__file__)")
        assert imported.stdout.startswith(str(tmp_path)), imported.stderr
    schemas = [topic.name for topic in bootstrap.TOPICS]
    read = run_in(tmp_path, "-c", f"from services.core.avro import load; [load(one) for one in {schemas}]")
    assert read.returncode == 0, read.stderr
    for name in bootstrap.WITH_DATABASE:
        kept = {path.name for path in (ROOT / "services" / name / "migrations").rglob("*.py")}
        assert kept == {path.name for path in (tmp_path / "services" / name / "migrations").rglob("*.py")}


def test_the_image_is_built_from_the_lock_with_all_that_the_code_imports() -> None:
    """What is installed here for tests or for the embedded exchange only is not in the image."""
    assert "uv sync --locked --no-default-groups --compile-bytecode" in instructions("environment", "RUN")
    packages = {one["name"]: one for one in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    project = packages["tongshu"]
    installed: set[str] = set()
    left = list(project["dependencies"])
    while left:
        one = left.pop()
        extras = packages[one["name"]].get("optional-dependencies", {})
        fresh = [more for extra in one.get("extra", []) for more in extras[extra]]
        if one["name"] not in installed:
            installed.add(one["name"])
            fresh += packages[one["name"]].get("dependencies", [])
        left += fresh
    provided = packages_distributions()
    for command in commands_of_ours():
        module, *step = command[2:]
        code = reached(module, step[0]) if step else reached(f"{module}.__main__", "main")
        for name in {where for where, _ in code}:
            for node in ast.walk(parsed(name).tree):
                for imported in imported_by(node):
                    known = imported in sys.stdlib_module_names or imported in ("services", "infra", *BUILT)
                    if known or path_of(imported):
                        continue
                    names = {re.sub(r"[-_.]+", "-", one.lower()) for one in provided[imported]}
                    assert names & installed, f"{name} imports {imported}, which the image does not have"


def imported_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module.split(".")[0]]
    return [one.name.split(".")[0] for one in node.names] if isinstance(node, ast.Import) else []
