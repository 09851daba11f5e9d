#!/usr/bin/env python3
"""A buddy that only discovers: ./discover.py --master 127.0.0.1:8085 --cluster lab hosts.json"""

import argparse
import json
import random
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import grpc
from google.protobuf.json_format import ParseDict
from heapster.v1 import heapster_pb2 as pb
from heapster.v1 import heapster_pb2_grpc as rpc


class Buddy:
    """Holds a Control stream open. `find_hosts` gives every host of the cluster, or raises."""

    def __init__(self, master: str, cluster: str, find_hosts, roles=(pb.DISCOVERS,)):
        self.master, self.find_hosts = master.removeprefix("http://"), find_hosts
        self.hello = pb.Hello(versions=[1], cluster=cluster, roles=roles, software="python/1")
        self.hello.buddy_id = socket.gethostname()
        self.hello.instance_id = random.randbytes(8).hex()
        self.hosts, self.error, self.version, self.failures = None, "", 0, 0
        self.stopping, self.wake = threading.Event(), threading.Event()

    def look(self, asked: bool):
        """What is to be said of the hosts. A list that cannot be read leaves the last good one."""
        try:
            hosts, error = self.find_hosts(), ""
        except Exception as problem:
            hosts, error = self.hosts, f"{type(problem).__name__}: {problem}"
        if asked or (hosts, error) != (self.hosts, self.error):
            self.hosts, self.error, self.version = hosts, error, self.version + 1
            if hosts is not None:  # tens of thousands go in chunks, of which the end has `last`
                yield pb.FromBuddy(hosts={"version": self.version, "hosts": hosts, "last": True})
            found = {"name": "python", "ok": not error, "error": error, "hosts": len(hosts or [])}
            yield pb.FromBuddy(health={"discoveries": [found]})

    def say(self, wake: threading.Event):
        """All that goes up one stream; grpc takes it in a thread of its own."""
        yield pb.FromBuddy(hello=self.hello)
        wake.wait()  # for Welcome
        while self.wake is wake and not self.stopping.is_set():
            asked = wake.is_set()
            wake.clear()
            yield from self.look(asked)
            yield pb.FromBuddy(heartbeat=pb.Heartbeat(unix_ms=time.time_ns() // 1_000_000))
            wake.wait(5)
        yield pb.FromBuddy(goodbye=pb.Goodbye(reason="stopped"))

    def hear(self, answer: pb.ToBuddy) -> bool:
        """Takes one message of the master; whether the stream goes on."""
        kind = answer.WhichOneof("kind")
        if kind in ("welcome", "send_snapshot"):
            self.failures = 0
            self.wake.set()
        elif kind in ("drain", "refusal"):
            end = getattr(answer, kind)
            self.master = (end.redirect or self.master).removeprefix("http://")
            if kind == "refusal":
                print(f"refused: {end.message}", file=sys.stderr, flush=True)
                if not (end.retry_after_ms or end.redirect):
                    sys.exit(1)
                self.stopping.wait(end.retry_after_ms / 1000)
        return kind not in ("drain", "refusal")

    def run(self):
        """Streams, one after the other, until SIGTERM or Ctrl-C."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: (self.stopping.set(), self.wake.set()))
        while not self.stopping.is_set():
            wake = self.wake = threading.Event()
            try:
                with grpc.insecure_channel(self.master, [("grpc.keepalive_time_ms", 20_000)]) as to:
                    all(map(self.hear, rpc.HeapsterStub(to).Control(self.say(wake))))
            except grpc.RpcError as error:
                print(f"{self.master}: {error.details()}", file=sys.stderr, flush=True)
            wake.set()
            self.failures = min(self.failures + 1, 5)
            self.stopping.wait(random.uniform(0.1, 2**self.failures))


def parse(text: str) -> list[pb.Host]:
    return [ParseDict({"id": h["name"], "ready": True, **h}, pb.Host()) for h in json.loads(text)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--master", default="127.0.0.1:8085")
    parser.add_argument("--cluster", required=True)
    parser.add_argument("hosts", help="a JSON list of Hosts, read again every 5 s; -: read stdin")
    args = parser.parse_args()
    piped = sys.stdin.read() if args.hosts == "-" else None
    Buddy(args.master, args.cluster, lambda: parse(piped or Path(args.hosts).read_text())).run()
