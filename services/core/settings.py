"""Settings of every process: one place, read from the environment (`TONGSHU_…`) and from secret files.

The embedded exchange and the containers set the same names; a secret is a file of its own in the folder
`TONGSHU_SECRETS` (`/run/secrets` in a container), so that no password stands in an environment or a command line.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_CONNECTION_STRING = re.compile(r"[a-z][a-z0-9_]*_dsn")


class SecretMissing(Exception):
    """A secret file that this process needs is not there or cannot be read."""


class Settings(BaseSettings):
    """Where the parts are, and the limits a place may want to change."""

    model_config = SettingsConfigDict(env_prefix="TONGSHU_", frozen=True, extra="ignore")

    kafka_bootstrap: str = "127.0.0.1:9092"
    registry_url: str = "http://127.0.0.1:8080/apis/ccompat/v7"
    kafka_public_bootstrap: str = Field(
        default="", description="Where systems outside reach the broker; empty: where we do."
    )
    registry_public_url: str = Field(
        default="", description="Where systems outside reach the registry; empty: where we do."
    )
    rows_public_url: str = Field(
        default="", description="Where systems outside reach the look-ups of rows; empty: where we do."
    )
    connect_url: str = "http://127.0.0.1:8083"
    postgres_host: str = "127.0.0.1"
    postgres_port: int = 5432
    postgres_database: str = "tongshu"
    redis_host: str = "127.0.0.1"
    redis_port: int = 6379
    http_host: str = "127.0.0.1"
    http_port: int = 8000
    catalog_url: str = "http://127.0.0.1:8001"
    demand_url: str = "http://127.0.0.1:8002"
    sync_url: str = "http://127.0.0.1:8003"
    audit_url: str = "http://127.0.0.1:8004"
    table_url: str = "http://127.0.0.1:8005"
    rows_url: str = "http://127.0.0.1:8006"
    watch_url: str = "http://127.0.0.1:8007"
    secrets: Path = Path("/run/secrets")

    place_title: str = Field(default="政务数据共享目录", description="What the catalogue is called in exports.")
    place_title_en: str = "Catalogue of shared government data"
    place_publisher: str = Field(default="数据管理局", description="The data authority that publishes it.")
    place_publisher_en: str = "Data Bureau"
    place_publisher_uscc: str = Field(default="11110000000000123P", description="Its unified social credit code.")
    place_address: str = Field(
        default="https://tongshu.example",
        description="The exchange's address from outside; the names of all things in exports begin so, for good.",
    )

    webhook_networks: str = Field(
        default="",
        description="Private networks that webhooks may be in, as CIDR with commas between; none unless it says so.",
    )
    smtp_host: str = Field(default="", description="Mail relay for notices and alerts, without a login; empty: none.")
    smtp_port: int = 25
    smtp_from: str = "tongshu@localhost"
    smtp_starttls: bool = False

    console_url: str = Field(
        default="",
        description="Where browsers reach the console, if not where it listens; with https, its cookies need that.",
    )
    console_pages: Path = Field(
        default=Path("/usr/share/tongshu/console"), description="Where the console's built pages are."
    )
    console_idle_minutes: float = Field(default=30.0, gt=0, description="How long somebody may do nothing.")
    console_session_hours: float = Field(default=10.0, gt=0, description="When everybody has to sign in again.")
    console_sign_in_failures: int = Field(
        default=5, ge=1, description="How often a password may be wrong before the account is locked for a while."
    )
    oidc_issuer: str = Field(
        default="",
        description="The place's identity provider (OpenID Connect), by which people may sign in; empty: none.",
    )
    oidc_client_id: str = "tongshu"
    oidc_client_secret_file: Path | None = Field(
        default=None, description="Where our secret at the provider is; none for a public client."
    )
    oidc_title: str = Field(default="统一身份认证", description="What the provider is called on the page.")
    oidc_login_claim: str = "preferred_username"
    oidc_department_claim: str = Field(default="department", description="The claim with a department's short name.")
    oidc_roles_claim: str = Field(default="roles", description="The claim with roles; dots lead into objects.")
    oidc_roles: str = Field(
        default="", description="Which value of that claim is which role here: `value=role` between commas."
    )
    console_request_mebibytes: int = Field(default=64, ge=1, description="The largest request that is passed on.")
    console_answer_seconds: float = Field(
        default=60.0, gt=0, description="How long a service may say nothing before it counts as too slow."
    )

    log_level: str = "INFO"
    replication_factor: int = Field(default=1, description="Replicas of every topic that the exchange makes.")
    cdc_partitions: int = Field(default=3, description="Partitions of a change topic: how far relay workers can scale.")
    cdc_poll_milliseconds: int = Field(
        default=5,
        description="How often a mount looks for changes: half of it delays each one; a quiet mount costs a seventh of "
        "a core at 5, half as much at 10.",
    )
    mount_watch_seconds: float = Field(
        default=10.0, description="How often each mount is compared with its source; drift is told within a minute."
    )
    mount_retained_mebibytes: int = Field(
        default=1_024, description="How much log a source may keep for a mount before that is told as drift."
    )
    upstream_networks: str = Field(
        default="",
        description="Networks that are not public in which upstream APIs may be asked: CIDR blocks between commas.",
    )
    product_seconds: float = Field(
        default=30.0, gt=0, description="How long evaluating a data product's view may take."
    )
    product_pause_seconds: float = Field(
        default=1.0, ge=0, description="How long after an evaluation a data product is evaluated again at the earliest."
    )
    product_rows: int = Field(default=100_000, ge=1, description="How many rows a data product may have.")
    broker_watch_seconds: float = Field(
        default=2.0, description="How often users, rights and share topics on the broker are compared with the grants."
    )
    tracking_look_seconds: float = Field(
        default=60.0, description="How often use is told per resource, and silent grants and ready feedback looked for."
    )
    share_partitions: int = Field(
        default=1, description="Partitions of a share topic; one gives its consumer the order of the whole resource."
    )
    delete_retention_hours: int = Field(
        default=7 * 24, description="How long tombstones stay: a reader away for longer must start from the beginning."
    )
    audit_folder: Path = Field(
        default=Path("/var/lib/tongshu/audit"), description="Where the audit log's tiles lie; standbys share it."
    )
    audit_digest: Literal["sha256", "sm3"] = Field(
        default="sha256", description="What the audit log is hashed with; chosen once, before the first entry."
    )
    audit_signature: Literal["ed25519", "sm2"] = Field(
        default="ed25519", description="What its checkpoints are signed with; chosen once, before the first entry."
    )
    audit_witnesses: str = Field(
        default="", description="Who cosigns the audit log: `KEY URL` of each (C2SP tlog-witness), parted by commas."
    )
    audit_witness_seconds: float = Field(default=10.0, gt=0, description="How often the witnesses are asked.")
    audit_budget_seconds: float = Field(
        default=60.0, gt=0, description="How far sealing may be behind before deliveries stop and wait for it."
    )
    max_record_bytes: int = Field(default=900_000, description="A larger change goes to quarantine.")

    sync_workers: int = Field(
        default=1,
        ge=1,
        le=32,
        description="Relay workers of a process for what connectors write, and as many for topics filled from outside.",
    )
    relay_client: Literal["batches", "messages"] = Field(
        default="batches",
        description="How a relay speaks to Kafka: by whole record batches, where the native engine is built and the"
        " brokers have transaction.version 2, or by single messages.",
    )
    replays_per_day: int = Field(default=24, description="How often a grant may be delivered again within 24 hours.")
    inconsistency_seconds: float = Field(
        default=60.0, ge=0, description="How long rows must disagree before both departments are told."
    )
    reconcile_hours: float = Field(
        default=24.0, ge=0, description="How often each grant is reconciled with its source; 0: only when asked for."
    )
    reconcile_heals: bool = Field(
        default=True, description="Whether differences that are found by the clock are healed at once."
    )

    otlp_endpoint: str = Field(
        default="",
        description="Where traces go: a collector's address for OTLP over HTTP (http://collector:4318). Empty: nowhere,"
        " unless OpenTelemetry's own OTEL_EXPORTER_OTLP_ENDPOINT names one.",
    )
    traced_changes_per_second: float = Field(
        default=10.0, gt=0, description="How many changes a second a relay follows by a trace, where spans go anywhere."
    )
    trace_url: str = Field(
        default="",
        pattern=r"^$|^https?://.*\{trace_id\}",
        description="Where people look at a trace: an address with {trace_id} in it, which the console links to.",
    )
    metrics_networks: str = Field(
        default="", description="Networks from which /metrics needs no token: CIDR blocks between commas."
    )
    watch_sample_seconds: float = Field(default=3.0, gt=0, description="How often the watch looks at every group.")
    watch_window_seconds: float = Field(
        default=60.0, gt=0, description="Over how long the watch judges a group; a group that stands is told after it."
    )
    watch_fresh_seconds: float = Field(
        default=5.0, ge=0, description="Up to which age of the oldest record a lag that stays is no warning."
    )
    watch_alert_seconds: float = Field(
        default=120.0, ge=0, description="How long what is wrong must last before the watch alerts of it; and be over."
    )

    watch_remind_hours: float = Field(
        default=4.0, gt=0, description="After how long an alert that nobody takes on, or that comes back, is told anew."
    )
    watch_summary_hour: int = Field(default=8, ge=0, le=23, description="The place's hour of the daily summary.")

    rows_per_second: int = Field(default=2_000, description="Look-ups of rows a second that a grant may make.")
    rows_per_day: int = Field(
        default=2_000_000, description="Look-ups of rows a day (of the place) that a grant may make."
    )

    @property
    def connect_registry_url(self) -> str:
        """The registry's v2 API, which the Avro converter of Connect speaks."""
        return self.registry_url.removesuffix("/apis/ccompat/v7") + "/apis/registry/v2"

    def secret(self, name: str) -> str:
        """The secret kept in the file `name`; raises SecretMissing."""
        return self._kept(name)

    def connection_string(self, name: str) -> str:
        """How a department's database is reached: a secret that grants name, so it may be none of the exchange's own.

        Its name ends with `_dsn`. Raises SecretMissing.
        """
        if not _CONNECTION_STRING.fullmatch(name):
            raise SecretMissing(f"a connection string is kept in a secret whose name ends with _dsn, not in {name!r}")
        return self._kept(name)

    def _kept(self, name: str) -> str:
        path = self.secrets / name
        try:
            return path.read_text().strip()
        except OSError as error:
            raise SecretMissing(f"the secret {name!r} cannot be read from {path}: {error.strerror}") from error


@cache
def settings() -> Settings:
    """This process's settings, read once."""
    return Settings()
