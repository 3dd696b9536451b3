"""The projection as a faust application: `python by_faust.py FILE`, in an environment of its own."""

from __future__ import annotations

import sys

import faust

from benchmarks.peers.by_hand import ByHand, told


def main() -> None:
    here = told(sys.argv[1])
    login = faust.SASLCredentials(username=here["username"], password=here["password"], mechanism="SCRAM-SHA-512")
    app = faust.App(
        here["group"],
        broker=f"kafka://{here['bootstrap']}",
        broker_credentials=login,
        processing_guarantee="exactly_once",
        consumer_auto_offset_reset="earliest",
        producer_compression_type="lz4",
        producer_linger=0.005,
        stream_buffer_maxsize=5_000,
        broker_max_poll_records=5_000,
        topic_partitions=1,
        store="memory://",
        web_enabled=False,
        datadir=here["folder"],
    )
    project = ByHand(here)
    changes = app.topic(here["input"], value_serializer="raw", key_serializer="raw")
    share = app.topic(here["output"], value_serializer="raw", key_serializer="raw")

    @app.agent(changes)
    async def relay(stream: faust.StreamT[bytes]) -> None:
        async for change in stream:
            for key, value in project(change):
                await share.send(key=key, value=value)

    sys.argv = ["faust", "worker", "--loglevel=warn"]
    app.main()


if __name__ == "__main__":
    main()
