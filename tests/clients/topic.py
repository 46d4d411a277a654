"""Makes a topic with one partition and one replica under a name that nobody has, and prints the name.

    python topic.py 127.0.0.1:9092
"""

import sys
import uuid

from confluent_kafka.admin import AdminClient, NewTopic

topic = NewTopic(f"clients-{uuid.uuid4().hex[:8]}", 1, 1, config={"min.insync.replicas": "1"})
admin = AdminClient({"bootstrap.servers": sys.argv[1]})
(made,) = admin.create_topics([topic], operation_timeout=30).values()
made.result(60)
print(topic.topic)
