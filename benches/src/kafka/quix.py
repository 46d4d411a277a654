"""The other baseline: Quix Streams does one get and one set for each record, exactly once, and nothing else.

    python quix.py BOOTSTRAP TOPIC COUNT STATE
"""

import sys

from quixstreams import Application

bootstrap, topic, count, state = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
app = Application(
    broker_address=bootstrap,
    consumer_group=f"{topic}-quix",
    state_dir=state,
    processing_guarantee="exactly-once",
    auto_offset_reset="earliest",
    commit_every=10_000,
    loglevel="ERROR",
    use_changelog_topics=True,
)
source = app.topic(topic, key_deserializer="bytes", value_deserializer="bytes")
target = app.topic(f"{topic}-quix", key_serializer="bytes", value_serializer="bytes")


def touch(value, held):
    held.set("seen", held.get("seen", 0) + 1)
    return value


frame = app.dataframe(source).apply(touch, stateful=True).to_topic(target)
print("started", flush=True)
app.run(count=count, timeout=60)
