"""The projection as a quixstreams application: `python by_quix.py FILE`, in an environment that has only that."""

from __future__ import annotations

import sys
from typing import Any

from quixstreams import Application
from quixstreams.kafka.configuration import ConnectionConfig
from quixstreams.models.serializers import Serializer

from benchmarks.peers.by_hand import ByHand, told


class _Second(Serializer):  # type: ignore[misc]
    """Writes the value of a pair of key and value, both of which are bytes already."""

    def __call__(self, value: tuple[bytes, bytes | None], ctx: Any) -> bytes | None:
        return value[1]


def main() -> None:
    here = told(sys.argv[1])
    login = ConnectionConfig(
        bootstrap_servers=here["bootstrap"],
        security_protocol="sasl_plaintext",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username=here["username"],
        sasl_password=here["password"],
    )
    app = Application(
        login,
        consumer_group=here["group"],
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        auto_create_topics=False,
        producer_extra_config={"compression.type": "lz4"},
        loglevel="WARNING",
        use_changelog_topics=False,
        state_dir=here["folder"],
    )
    project = ByHand(here)
    changes = app.topic(here["input"], value_deserializer="bytes", key_deserializer="bytes")
    share = app.topic(here["output"], value_serializer=_Second(), key_serializer="bytes")
    app.dataframe(changes).apply(project, expand=True).to_topic(share, key=lambda seen: seen[0])
    app.run()


main()
