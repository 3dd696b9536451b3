"""What must be there before the services start: `python -m infra.bootstrap databases|broker|schemas|outbox`.

Four steps, in the order in which the parts come up; each may be run again at any time, and only adds what is missing.
The embedded exchange and the containers run the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)
from psycopg import sql

from services.audit import topics as audit_topics
from services.catalog import events as catalog_events
from services.console import topics as console_topics
from services.core import db, workroom
from services.core.avro import Registry, load
from services.core.connect import Connect
from services.core.kafka import admin_client, ensure_topics
from services.core.settings import Settings, settings
from services.demand import events as demand_events
from services.sync import topics as sync_topics
from services.watch import topics as watch_topics

SERVICES = Path(__file__).resolve().parents[1] / "services"
WITH_DATABASE = ("catalog", "demand", "sync", "audit", "watch", "console")
TOPICS = (
    catalog_events.RESOURCES,
    catalog_events.IDENTITIES,
    catalog_events.LISTS,
    catalog_events.CODE_LISTS,
    catalog_events.EVENTS,
    demand_events.GRANTS,
    demand_events.EVENTS,
    demand_events.USAGE,
    demand_events.MATCHING,
    sync_topics.DELIVERIES,
    sync_topics.PROGRESS,
    audit_topics.LOG,
    audit_topics.CHECKPOINTS,
    audit_topics.PROGRESS,
    audit_topics.EVENTS,
    watch_topics.EVENTS,
    console_topics.EVENTS,
    sync_topics.RECEIPTS,
    sync_topics.ACCESS,
    sync_topics.WAITING,
    sync_topics.QUALITY,
    sync_topics.ORDERS,
    sync_topics.EVENTS,
    sync_topics.REPLAYS,
)

# How far a group is behind is told by its next record (when it came, or that there is none): what groups read, the
# watch must be able to read.
WATCHED = sorted({"cdc.", "share.", "quarantine."} | {f"{topic.name.partition('.')[0]}." for topic in TOPICS})

TOPIC, GROUP, TRANSACTION = ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID
LITERAL, PREFIXED = ResourcePatternType.LITERAL, ResourcePatternType.PREFIXED
READ, WRITE, CREATE, ALL = AclOperation.READ, AclOperation.WRITE, AclOperation.CREATE, AclOperation.ALL

Rule = tuple[ResourceType, str, ResourcePatternType, AclOperation]

# What each user of the exchange may do on the broker: what its service needs, and no more.
RULES: dict[str, list[Rule]] = {
    "catalog": [
        (TOPIC, "cdc.", PREFIXED, CREATE),
        # a file is compared with what its topic holds, and the difference written in one transaction
        (TOPIC, "cdc.", PREFIXED, READ),
        (TOPIC, "cdc.", PREFIXED, WRITE),
        (TRANSACTION, "catalog-", PREFIXED, WRITE),
        (TRANSACTION, "catalog-", PREFIXED, AclOperation.DESCRIBE),
        # users and rights of the systems that fill their topics themselves
        (ResourceType.BROKER, "kafka-cluster", LITERAL, AclOperation.ALTER),
        (ResourceType.BROKER, "kafka-cluster", LITERAL, AclOperation.DESCRIBE),
        # a mount tells over a topic of its own how far it is with reading rows again
        (TOPIC, "notification.", PREFIXED, CREATE),
        (TOPIC, "notification.", PREFIXED, READ),
        # who uses a contract must be told before it breaks
        (TOPIC, "demand.", PREFIXED, READ),
        (GROUP, "catalog.", PREFIXED, READ),
    ],
    "demand": [
        (TOPIC, "catalog.", PREFIXED, READ),
        # the first manifest of a grant says that data flows; tracking counts deliveries, and keeps what happened
        (TOPIC, "sync.", PREFIXED, READ),
        (TOPIC, "quarantine.", PREFIXED, READ),
        (TOPIC, "demand.", PREFIXED, READ),
        (GROUP, "demand.", PREFIXED, READ),
        (TOPIC, "share.", PREFIXED, CREATE),
        # share topics are looked after: one that was changed or removed by hand is put right
        (TOPIC, "share.", PREFIXED, AclOperation.DESCRIBE),
        (TOPIC, "share.", PREFIXED, AclOperation.DESCRIBE_CONFIGS),
        (TOPIC, "share.", PREFIXED, AclOperation.ALTER_CONFIGS),
        # an objection is closed by the delivery that corrects its record
        (TOPIC, "share.", PREFIXED, READ),
        # users and rights of the departments
        (ResourceType.BROKER, "kafka-cluster", LITERAL, AclOperation.ALTER),
        (ResourceType.BROKER, "kafka-cluster", LITERAL, AclOperation.DESCRIBE),
    ],
    "sync": [
        (TOPIC, "cdc.", PREFIXED, READ),
        (TOPIC, "catalog.", PREFIXED, READ),
        (TOPIC, "demand.", PREFIXED, READ),
        (TOPIC, "sync.", PREFIXED, READ),
        (TOPIC, "sync.", PREFIXED, WRITE),
        # what is not sealed in time stops the relay
        (TOPIC, "audit.progress", LITERAL, READ),
        (TOPIC, "share.", PREFIXED, WRITE),
        # tables and row look-ups are served from the share topics
        (TOPIC, "share.", PREFIXED, READ),
        (TOPIC, "quarantine.", PREFIXED, WRITE),
        (TOPIC, "quarantine.", PREFIXED, CREATE),
        # what is set aside is shown to people, and kept with what became of it
        (TOPIC, "quarantine.", PREFIXED, READ),
        (GROUP, "sync.", PREFIXED, READ),
        (TRANSACTION, "sync-", PREFIXED, WRITE),
        (TRANSACTION, "sync-", PREFIXED, AclOperation.DESCRIBE),
    ],
    "audit": [
        (TOPIC, "catalog.", PREFIXED, READ),
        (TOPIC, "demand.", PREFIXED, READ),
        (TOPIC, "sync.", PREFIXED, READ),
        (TOPIC, "quarantine.", PREFIXED, READ),
        (TOPIC, "watch.", PREFIXED, READ),
        # the keys of changes and deliveries are hashed, so that a record can be traced
        (TOPIC, "cdc.", PREFIXED, READ),
        (TOPIC, "share.", PREFIXED, READ),
        (TOPIC, "console.", PREFIXED, READ),
        (TOPIC, "audit.", PREFIXED, READ),
        (TOPIC, "audit.", PREFIXED, WRITE),
        (GROUP, "audit.", PREFIXED, READ),
        (TRANSACTION, "audit-", PREFIXED, WRITE),
        (TRANSACTION, "audit-", PREFIXED, AclOperation.DESCRIBE),
    ],
    "console": [
        # what its pages are told as it happens
        (TOPIC, "catalog.", PREFIXED, READ),
        (TOPIC, "demand.", PREFIXED, READ),
        (TOPIC, "sync.deliveries", LITERAL, READ),
        (TOPIC, "audit.events", LITERAL, READ),
        (TOPIC, "watch.events", LITERAL, READ),
        (GROUP, "console.", PREFIXED, READ),
    ],
    "connect": [
        (TOPIC, "connect.", PREFIXED, ALL),
        (TOPIC, "cdc.", PREFIXED, ALL),
        (TOPIC, "__debezium-heartbeat.", PREFIXED, ALL),
        (TOPIC, "notification.", PREFIXED, WRITE),
        *((TOPIC, f"{service}.", PREFIXED, operation) for service in WITH_DATABASE for operation in (READ, WRITE)),
        (GROUP, "connect", PREFIXED, ALL),
        (TRANSACTION, "connect-", PREFIXED, ALL),
        (ResourceType.BROKER, "kafka-cluster", LITERAL, AclOperation.DESCRIBE),
    ],
    "watch": [
        (TOPIC, "*", LITERAL, AclOperation.DESCRIBE),
        (GROUP, "*", LITERAL, AclOperation.DESCRIBE),
        *((TOPIC, prefix, PREFIXED, READ) for prefix in WATCHED),
        (GROUP, "watch.", PREFIXED, READ),
    ],
}


def databases(here: Settings) -> None:
    """The exchange's database and the registry's, with a role for each service and a schema that is its own."""
    with _admin_connection(here, "postgres") as connection:
        for role in (*WITH_DATABASE, "registry", "connect", workroom.KEEPER, workroom.READER):
            password = here.secret(f"postgres_{role}_password")
            if connection.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone() is None:
                connection.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
            options = sql.SQL("login replication" if role == "connect" else "login")
            connection.execute(
                sql.SQL("alter role {} with {} password {}").format(
                    sql.Identifier(role), options, sql.Literal(password)
                )
            )
        for name, owner in ((here.postgres_database, None), ("registry", "registry"), (workroom.DATABASE, None)):
            if connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone() is None:
                ownership = sql.SQL("owner {}").format(sql.Identifier(owner)) if owner else sql.SQL("")
                connection.execute(sql.SQL("create database {} {}").format(sql.Identifier(name), ownership))
    with _admin_connection(here, here.postgres_database) as connection:
        for role in WITH_DATABASE:
            schema = sql.Identifier(role)
            connection.execute(sql.SQL("create schema if not exists {} authorization {}").format(schema, schema))
    with _admin_connection(here, workroom.DATABASE) as connection:
        _close_workroom(connection)


def _close_workroom(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Nobody comes into the workroom but who fills it and who asks there, and asking changes nothing and ends."""
    keeper, reader, database = (sql.Identifier(name) for name in (workroom.KEEPER, workroom.READER, workroom.DATABASE))
    for statement in (
        "revoke all on database {database} from public",
        "grant connect, create, temporary on database {database} to {keeper}",
        "grant connect on database {database} to {reader}",
        "revoke all on schema public from public",
        # of the roles of departments, which it makes; it rules over no others
        "alter role {keeper} createrole",
        "alter role {reader} noinherit",
        "alter role {reader} set default_transaction_read_only = on",
        "alter role {reader} set temp_file_limit = '1GB'",
    ):
        connection.execute(sql.SQL(statement).format(keeper=keeper, reader=reader, database=database))


def broker(here: Settings) -> None:
    """Users, rights and topics."""
    admin = admin_client(here, "admin")
    users: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(
            user,
            ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8_192),
            here.secret(f"kafka_{user}_password").encode(),
        )
        for user in RULES
    ]
    for changed in admin.alter_user_scram_credentials(users).values():
        changed.result(30)
    bindings = [
        AclBinding(kind, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
        for user, rules in RULES.items()
        for kind, name, pattern, operation in rules
    ]
    for created in admin.create_acls(bindings).values():
        created.result(30)
    ensure_topics(admin, TOPICS, here.replication_factor)


def schemas(here: Settings) -> None:
    """Tables, and the Avro schemas of all topics."""
    from services.core.migrations import migrate

    for service in WITH_DATABASE:
        migrate(here, service, SERVICES / service / "migrations")
    registry = Registry(here.registry_url)
    for topic in TOPICS:
        registry.register(f"{topic.name}-value", load(topic.name), "BACKWARD")


def outbox(here: Settings) -> None:
    """The connector that carries the outboxes to Kafka."""
    tables = [f"{service}.outbox" for service in WITH_DATABASE]
    with _admin_connection(here, here.postgres_database) as connection:
        if connection.execute("select 1 from pg_publication where pubname = 'outbox'").fetchone() is None:
            connection.execute(f"create publication outbox for table {', '.join(tables)} with (publish = 'insert')")
        published = connection.execute(
            "select schemaname || '.' || tablename from pg_publication_tables where pubname = 'outbox'"
        ).fetchall()
        for table in sorted(set(tables) - {str(one) for (one,) in published}):
            connection.execute(f"alter publication outbox add table {table}")
        for service in WITH_DATABASE:
            connection.execute(f"grant usage on schema {service} to connect")
            connection.execute(f"grant select on {service}.outbox to connect")
    connect = Connect(here)
    connect.put("outbox", outbox_connector(here, tables))
    connect.wait_until_running("outbox", 60)


def outbox_connector(here: Settings, tables: list[str]) -> dict[str, str]:
    """Each row inserted into an outbox becomes a record of the topic it names, bytes and headers untouched."""
    headers = ",".join(f"{name}:header:{name.replace('content_type', 'content-type')}" for name in db.HEADERS)
    binary = "io.debezium.converters.BinaryDataConverter"
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "plugin.name": "pgoutput",
        "database.hostname": here.postgres_host,
        "database.port": str(here.postgres_port),
        "database.dbname": here.postgres_database,
        "database.user": "connect",
        "database.password": here.secret("postgres_connect_password"),
        "slot.name": "outbox",
        "publication.name": "outbox",
        "publication.autocreate.mode": "disabled",
        "topic.prefix": "outbox",
        "table.include.list": ",".join(tables),
        # a service starts after this connector, so there is nothing to read but the log
        "snapshot.mode": "no_data",
        # decisions may take a little longer than data: each connector that looks every 5 ms costs a tenth of a core
        "poll.interval.ms": "20",
        "heartbeat.interval.ms": "10000",
        "heartbeat.action.query": "select pg_logical_emit_message(false, 'tongshu', 'heartbeat')",
        "message.prefix.exclude.list": ".*",
        "topic.creation.default.replication.factor": str(here.replication_factor),
        "topic.creation.default.partitions": "1",
        "tombstones.on.delete": "false",
        "exactly.once.support": "required",
        "producer.override.linger.ms": "0",
        "transforms": "outbox",
        "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
        "transforms.outbox.table.field.event.id": "id",
        "transforms.outbox.table.field.event.key": "key",
        "transforms.outbox.table.field.event.payload": "payload",
        "transforms.outbox.route.by.field": "topic",
        "transforms.outbox.route.topic.replacement": "${routedByValue}",
        "transforms.outbox.route.tombstone.on.empty.payload": "true",
        "transforms.outbox.table.fields.additional.placement": f"id:header:ce_id,{headers}",
        "transforms.outbox.table.op.invalid.behavior": "error",
        "key.converter": binary,
        "value.converter": binary,
        # heartbeats are no bytes, and somebody has to write them
        **{
            f"{side}.converter.delegate.converter.type": "org.apache.kafka.connect.json.JsonConverter"
            for side in ("key", "value")
        },
        **{f"{side}.converter.delegate.converter.type.schemas.enable": "false" for side in ("key", "value")},
        "predicates": "heartbeat",
        "predicates.heartbeat.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        "predicates.heartbeat.pattern": "__debezium-heartbeat.*",
        "transforms.outbox.predicate": "heartbeat",
        "transforms.outbox.negate": "true",
        "header.converter": "org.apache.kafka.connect.storage.StringConverter",
    }


def _admin_connection(here: Settings, database: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=here.postgres_host,
        port=here.postgres_port,
        dbname=database,
        user="tongshu_admin",
        password=here.secret("postgres_admin_password"),
        autocommit=True,
    )


STEPS: dict[str, Callable[[Settings], None]] = {
    "databases": databases,
    "broker": broker,
    "schemas": schemas,
    "outbox": outbox,
}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in STEPS:
        print(f"usage: python -m infra.bootstrap {'|'.join(STEPS)}", file=sys.stderr)
        return 2
    STEPS[arguments[0]](settings())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
