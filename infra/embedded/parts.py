"""The parts of the embedded exchange: what each runs, what it needs, and how one knows that it is well."""

from __future__ import annotations

import base64
import hashlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.configuration import filled_in, postgres_settings
from infra.embedded import web
from infra.embedded.home import Home
from infra.embedded.jars import locked
from infra.embedded.toolchain import Toolchain, tools_folder
from infra.files import write_atomically

# Postgres refuses to run as root; under root it becomes the first of these that the machine knows.
_UNPRIVILEGED = ("postgres", "nobody")
_WITH_OUTBOX = ("catalog", "demand", "tracking", "sync", "table", "audit", "watch", "console")
_SERVICES = {
    "catalog": "services.catalog",
    "demand": "services.demand",
    "tracking": "services.demand.tracking",
    "sync": "services.sync",
    "table": "services.sync.table",
    "rows": "services.sync.rows",
    "audit": "services.audit",
    "watch": "services.watch",
    "console": "services.console",
}

INITDB_OPTIONS = ("-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8")


class PartProblem(Exception):
    """A part that cannot be started, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A process of the exchange. `check` answers None when it is well, else the reason in words.

    A `once` part is run to its end each time the exchange comes up, and is well when that succeeded.
    """

    name: str
    command: Sequence[str]
    needs: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None
    check: Callable[[], str | None] = lambda: None
    user: str | None = None
    once: bool = False
    port: int | None = None
    stop_signal: int = signal.SIGTERM
    grace_seconds: float = 20.0
    finish: Callable[[], None] = lambda: None


def parts(home: Home, tools: Toolchain) -> list[Part]:
    """All parts, in an order in which they can be started; to stop, the other way round."""
    python = sys.executable
    found = [
        _postgres(home, tools, "postgres", "tongshu_admin", "postgres_admin_password"),
        _redis(home, tools),
        _kafka(home, tools),
    ]
    if home.samples:
        found.append(_postgres(home, tools, "sources", "sources_admin", "sources_admin_password"))
    found += [
        Part(name="databases", command=[python, "-m", "infra.bootstrap", "databases"], needs=["postgres"], once=True),
        Part(name="broker", command=[python, "-m", "infra.bootstrap", "broker"], needs=["kafka"], once=True),
        _registry(home, tools),
        _connect(home, tools),
        Part(name="schemas", command=[python, "-m", "infra.bootstrap", "schemas"], needs=["registry"], once=True),
        Part(
            name="outbox", command=[python, "-m", "infra.bootstrap", "outbox"], needs=["connect", "schemas"], once=True
        ),
    ]
    pages = os.environ.get("TONGSHU_CONSOLE_PAGES") or str(web.folder(tools_folder()))
    for service, module in _SERVICES.items():
        port = home.ports[service]
        found.append(
            Part(
                name=service,
                command=[python, "-m", module],
                # an event that is written before the outbox is watched would be told to nobody
                needs=["schemas", "broker", "redis", *(["outbox"] if service in _WITH_OUTBOX else [])],
                environment={
                    "TONGSHU_HTTP_HOST": "127.0.0.1",
                    "TONGSHU_HTTP_PORT": str(port),
                    **({"TONGSHU_CONSOLE_PAGES": pages} if service == "console" else {}),
                },
                check=lambda port=port: _http(f"http://127.0.0.1:{port}/readyz"),  # type: ignore[misc]
                port=port,
            )
        )
    return found


# -- Postgres and Redis ----------------------------------------------------------------------------------------------


def _postgres(home: Home, tools: Toolchain, name: str, superuser: str, password: str) -> Part:
    data, port = home.data(name), home.ports[name]
    user = unprivileged_user()

    def initialise() -> None:
        if (data / "PG_VERSION").exists():
            return
        made = data.with_name(f"{name}.new")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(mode=0o700)
        password_file = made.with_name(f"{name}.password")
        write_atomically(password_file, home.secret(password))
        if user:
            shutil.chown(made, user)
            shutil.chown(password_file, user)
        command = [str(tools.postgres_bin / "initdb"), "-D", str(made), "-U", superuser, "--pwfile", str(password_file)]
        try:
            result = subprocess.run(
                as_user(user, [*command, *INITDB_OPTIONS], home.path), capture_output=True, text=True
            )
        finally:
            password_file.unlink()
        if result.returncode != 0:
            lines = (result.stderr or result.stdout).strip().splitlines() or ["no reason given"]
            raise PartProblem(f"{name}: the database cannot be made: {lines[-1]}")
        made.rename(data)

    settings = {
        "port": str(port),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        **postgres_settings(),
    }
    options = [word for setting, value in settings.items() for word in ("-c", f"{setting}={value}")]
    return Part(
        name=name,
        command=as_user(user, [str(tools.postgres_bin / "postgres"), "-D", str(data), *options], home.path),
        prepare=initialise,
        check=lambda: _query(port, superuser, home.secret(password)),
        port=port,
        # on SIGTERM it would wait until the last client has gone
        stop_signal=signal.SIGINT,
    )


def unprivileged_user() -> str | None:
    """The user that Postgres runs as where we are root; None: as we are."""
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED:
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise PartProblem("Postgres does not run as root, and this machine has no user `postgres` or `nobody`.")


def as_user(user: str | None, command: Sequence[str], home: Path) -> list[str]:
    """`command` as it runs under `user` (None: as we are).

    Where a folder on the way is closed to that user (a checkout under /root, say), the process keeps the one
    capability that lets it pass. Raises PartProblem where that cannot be had.
    """
    if user is None:
        return list(command)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PartProblem("Postgres does not run as root, and setpriv (util-linux) is not here to change the user.")
    account = pwd.getpwnam(user)
    words = [setpriv, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    if not all(_may_enter(path, account.pw_uid) for path in (home, Path(command[0]).parent)):
        words += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return [*words, "--", *command]


def _may_enter(path: Path, uid: int) -> bool:
    for folder in (path, *path.parents):
        status = folder.stat()
        if not status.st_mode & (0o100 if status.st_uid == uid else 0o001):
            return False
    return True


def _query(port: int, user: str, password: str) -> str | None:
    import psycopg

    try:
        with psycopg.connect(
            host="127.0.0.1", port=port, user=user, password=password, dbname="postgres", connect_timeout=3
        ) as connection:
            connection.execute("select 1")
    except psycopg.Error as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return None


def _redis(home: Home, tools: Toolchain) -> Part:
    port, configuration = home.ports["redis"], home.data("redis") / "redis.conf"

    def configure() -> None:
        configuration.parent.mkdir(mode=0o700, exist_ok=True)
        places = {"REDIS_BIND": "127.0.0.1", "REDIS_PORT": str(port), "REDIS_FOLDER": str(configuration.parent)}
        write_atomically(configuration, filled_in("redis.conf", places, home.secret))

    def ping() -> str | None:
        try:
            with socket.create_connection(("127.0.0.1", port), 3) as connection:
                connection.sendall(f"AUTH {home.secret('redis_password')}\r\nPING\r\n".encode())
                answer = connection.recv(64)
                while answer.count(b"\r\n") < 2 and (more := connection.recv(64)):
                    answer += more
        except OSError as error:
            return str(error)
        return None if b"+PONG" in answer else "it does not answer our password"

    return Part(
        name="redis", command=[str(tools.redis_server), str(configuration)], prepare=configure, check=ping, port=port
    )


# -- the JVM parts ---------------------------------------------------------------------------------------------------


def _java(
    tools: Toolchain, name: str, heap: str, arguments: Sequence[str], *, is_hot: bool = True
) -> tuple[list[str], Callable[[], None]]:
    """A JVM's command line, and what to do when it has ended.

    One that is not hot does without the compiler that pays only after many thousand calls: it starts with less.

    The first run trains an ahead-of-time cache (JEP 514) that halves the start of the later ones. It belongs to the
    tools: what it holds depends on jars and options alone.
    """
    options = [f"-Xmx{heap}", "-XX:+UseSerialGC", "-Xlog:disable", "-Xlog:all=error:stderr"]
    options += [] if is_hot else ["-XX:TieredStopAtLevel=1"]
    key = hashlib.sha256("\0".join([str(tools.java), *options, *arguments[:2]]).encode()).hexdigest()[:12]
    cache = tools_folder() / "aot" / f"{name}-{key}.aot"
    if cache.exists():
        return [str(tools.java), *options, f"-XX:AOTCache={cache}", *arguments], lambda: None
    cache.parent.mkdir(parents=True, exist_ok=True)
    training = cache.with_suffix(f".{os.getpid()}.new")

    def keep() -> None:
        if training.exists():
            training.replace(cache)

    return [str(tools.java), *options, f"-XX:AOTCacheOutput={training}", *arguments], keep


def _kafka(home: Home, tools: Toolchain) -> Part:
    port, controller = home.ports["kafka"], home.ports["controller"]
    folder, data = home.data("kafka"), home.data("kafka") / "log"
    configuration = folder / "server.properties"
    admin = home.secret("kafka_admin_password")

    def configure() -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        places = {
            "KAFKA_LISTENERS": f"SASL_PLAINTEXT://127.0.0.1:{port}",
            "KAFKA_ADVERTISED_LISTENERS": f"SASL_PLAINTEXT://127.0.0.1:{port}",
            "KAFKA_CONTROLLER": f"127.0.0.1:{controller}",
            "KAFKA_LOG_FOLDER": str(data),
        }
        write_atomically(configuration, filled_in("server.properties", places, home.secret))
        made_by, version = folder / "formatted-by", _version("kafka_2.13")
        if (data / "meta.properties").exists():
            # what does not say so is from before it was said
            before = made_by.read_text() if made_by.exists() else "4.3.1"
            if _numbers(before) > _numbers(version):
                raise PartProblem(
                    f"this exchange was set up with Kafka {before}, and Kafka {version} does not read what a later one"
                    " has written: set up another one, in a folder of its own (docs/decisions/0016-broker.md)"
                )
            return
        shutil.rmtree(data, ignore_errors=True)
        cluster = base64.urlsafe_b64encode(hashlib.sha256(home.id.encode()).digest()[:16]).decode().rstrip("=")
        command = [str(tools.java), "-cp", tools.kafka_classpath, "kafka.tools.StorageTool", "format"]
        command.append(f"--cluster-id={cluster}")  # in one word: it may begin with a hyphen
        user = ["-c", str(configuration), "-S", f"SCRAM-SHA-512=[name=admin,password={admin}]"]
        result = subprocess.run([*command, *user], capture_output=True, text=True)
        if result.returncode != 0:
            lines = (result.stderr or result.stdout).strip().splitlines() or ["no reason given"]
            raise PartProblem(f"kafka: the log folder cannot be formatted: {lines[-1]}")
        write_atomically(made_by, version)

    def lists_topics() -> str | None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        reasons: list[str] = []
        login: dict[str, Any] = {
            "bootstrap.servers": f"127.0.0.1:{port}",
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "admin",
            "sasl.password": admin,
            "log_level": 0,
            "error_cb": lambda error: reasons.append(str(error)),
        }
        client = AdminClient(login)
        try:
            client.list_topics(timeout=3)
        except KafkaException as error:
            return reasons[-1] if reasons else str(error)
        return None

    command, keep = _java(tools, "kafka", "512m", ["-cp", tools.kafka_classpath, "kafka.Kafka", str(configuration)])
    return Part(
        name="kafka",
        command=command,
        prepare=configure,
        check=lists_topics,
        finish=keep,
        port=port,
        grace_seconds=60,
    )


def _version(artifact: str) -> str:
    return next(jar.version for jar in locked() if jar.artifact == artifact)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _registry(home: Home, tools: Toolchain) -> Part:
    port, management, folder = home.ports["registry"], home.ports["registry_management"], home.data("registry")
    configuration = folder / "registry.properties"

    def configure() -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        places = {
            "REGISTRY_BIND": "127.0.0.1",
            "REGISTRY_PORT": str(port),
            "REGISTRY_MANAGEMENT_PORT": str(management),
            "POSTGRES_ADDRESS": f"127.0.0.1:{home.ports['postgres']}",
        }
        write_atomically(configuration, filled_in("registry.properties", places, home.secret))

    arguments = ["-jar", str(tools.registry_home / "quarkus-run.jar")]
    command, keep = _java(tools, "registry", "256m", arguments, is_hot=False)
    return Part(
        name="registry",
        command=command,
        needs=["databases"],
        environment={"QUARKUS_CONFIG_LOCATIONS": str(configuration)},
        prepare=configure,
        check=lambda: _http(f"http://127.0.0.1:{management}/health/ready"),
        finish=keep,
        port=port,
        grace_seconds=60,
    )


def _connect(home: Home, tools: Toolchain) -> Part:
    port, folder = home.ports["connect"], home.data("connect")
    configuration, passwords, jaas = (folder / f"worker.{kind}" for kind in ("properties", "passwords", "jaas"))

    def configure() -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        places = {
            "KAFKA_BOOTSTRAP": f"127.0.0.1:{home.ports['kafka']}",
            "CONNECT_LISTEN": f"127.0.0.1:{port}",
            "CONNECT_HOST": "127.0.0.1",
            "CONNECT_PLUGINS": str(tools.connect_plugins),
            "CONNECT_PASSWORDS": str(passwords),
        }
        for path in (configuration, passwords, jaas):
            write_atomically(path, filled_in(path.name, places, home.secret))

    def answers() -> str | None:
        token = base64.b64encode(f"tongshu:{home.secret('connect_rest_password')}".encode()).decode()
        return _http(f"http://127.0.0.1:{port}/connectors", {"Authorization": f"Basic {token}"})

    command, keep = _java(
        tools,
        "connect",
        "512m",
        [
            "-cp",
            tools.connect_classpath,
            f"-Djava.security.auth.login.config={jaas}",
            "org.apache.kafka.connect.cli.ConnectDistributed",
            str(configuration),
        ],
    )
    return Part(
        name="connect",
        command=command,
        needs=["broker"],
        prepare=configure,
        check=answers,
        finish=keep,
        port=port,
        grace_seconds=60,
    )


def _http(url: str, headers: Mapping[str, str] | None = None) -> str | None:
    request = urllib.request.Request(url, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=3):
            return None
    except urllib.error.HTTPError as error:
        return error.read(300).decode(errors="replace") or f"it answers {error.code}"
    except OSError as error:
        return str(getattr(error, "reason", error))
