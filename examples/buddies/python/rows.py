#!/usr/bin/env python3
"""A buddy that also sends rows: load, CPU and memory of the machine that it runs on.

    ./rows.py --master 127.0.0.1:8085 --cluster lab

discover.py holds the Control stream, measure.py reads the machine, log.py keeps what was not
delivered, and ingest.py carries it to the master. This file puts them together.
"""

import argparse
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from heapster.v1 import heapster_pb2 as pb

from discover import Buddy
from ingest import Uplink
from log import Log
from measure import Machine


class RowsBuddy(Buddy):
    """Discovers its own machine, and polls it."""

    def __init__(self, master: str, cluster: str, machine: Machine):
        super().__init__(master, cluster, lambda: [machine.host()], (pb.DISCOVERS, pb.POLLS))
        self.machine, self.log = machine, Log()
        self.uplink = Uplink(self.log, self.hello.instance_id, machine.define())
        self.resolution_ms = 0
        self.polls = True  # what it discovers, until an Assignment says otherwise
        self.coming: list[str] = []  # host ids of an Assignment that is not whole yet
        self.news: dict[str, pb.FromBuddy] = {}  # to be said: the newest of a kind is enough

    def hear(self, answer: pb.ToBuddy) -> bool:
        kind = answer.WhichOneof("kind")
        if kind == "welcome":
            self._poll_every(answer.welcome.resolution_ms)
            self.uplink.begin(self.master, answer.welcome.session_id)
        elif kind == "settings":
            self._poll_every(answer.settings.resolution_ms)
        elif kind == "assignment":
            self._assign(answer.assignment)
        elif kind == "drain":
            self.log.drained(answer.drain.deadline_ms / 1000)
        return super().hear(answer)

    def say(self, wake: threading.Event) -> Iterator[pb.FromBuddy]:
        for message in super().say(wake):
            if message.HasField("goodbye"):
                self.log.drained(5)
                self.uplink.end()
            if message.HasField("heartbeat"):
                message.heartbeat.spool_frames = len(self.log.frames)
                message.heartbeat.dropped_frames = self.log.dropped
                for kind in list(self.news):
                    yield self.news.pop(kind)
            yield message

    def _assign(self, assignment: pb.Assignment) -> None:
        """The hosts to poll, in chunks. This buddy can poll one: its own machine."""
        self.coming += [host.id for host in assignment.hosts]
        if not assignment.last:
            return
        hosts, self.coming = set(self.coming), []
        reply = pb.AssignmentReply(version=assignment.version)
        reply.accepted = hosts <= {self.machine.name}
        if reply.accepted:
            self.polls = bool(hosts)
        else:
            reply.error = f"this buddy polls {self.machine.name} alone"
        self.news["reply"] = pb.FromBuddy(assignment_reply=reply)
        self.wake.set()

    def _poll_every(self, resolution_ms: int) -> None:
        is_polling, self.resolution_ms = self.resolution_ms > 0, resolution_ms
        if not is_polling:
            threading.Thread(target=self._poll, daemon=True).start()

    def _poll(self) -> None:
        """A row at each tick, a multiple of the resolution, also while the master is away."""
        while True:
            now_ms = time.time_ns() // 1_000_000
            tick_ms = (now_ms // self.resolution_ms + 1) * self.resolution_ms
            if self.stopping.wait((tick_ms - now_ms) / 1000):
                return
            if self.polls:
                self._round(tick_ms)

    def _round(self, tick_ms: int) -> None:
        state = pb.HostState(host_id=self.machine.name, tick_unix_ms=tick_ms, source="proc")
        try:
            self.log.append(batch=self.machine.batch(tick_ms))
        except (OSError, ValueError, KeyError) as problem:
            state.error = f"{type(problem).__name__}: {problem}"
        state.ok = not state.error
        end = pb.RoundEnd(tick_unix_ms=tick_ms, hosts_ok=state.ok, hosts_failed=not state.ok)
        self.log.append(round_end=end)
        self.news["health"] = pb.FromBuddy(health=pb.Health(hosts=[state]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--master", default="127.0.0.1:8085")
    parser.add_argument("--cluster", required=True)
    parser.add_argument("--name", default="", help="of the node; else the host's name")
    parser.add_argument("--proc", type=Path, default=Path("/proc"))
    args = parser.parse_args()
    RowsBuddy(args.master, args.cluster, Machine(args.proc, args.name)).run()


if __name__ == "__main__":
    main()
