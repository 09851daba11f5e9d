"""Load, CPU and memory of this machine, from /proc, as one row of the protocol."""

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from heapster.v1 import heapster_pb2 as pb

NODE = LAYOUT = 1
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Numbers of the table in docs/storage-schema.md.
CPU_USAGE, CPU_CAPACITY, MEMORY_CAPACITY, MEMORY_USAGE, MEMORY_WORKING_SET = 2, 8, 10, 16, 17


@dataclass
class Sample:
    """What was read at one time."""

    time_ms: int
    cpu_ns: int
    cores: int
    memory_total: int
    memory_usage: int
    memory_working_set: int
    load: float


class Machine:
    """A host and the node that its rows are about. Remembers the sample before, for increases."""

    def __init__(self, proc: Path, name: str = ""):
        self.proc = proc
        self.name = name or socket.gethostname()
        self.before: Sample | None = None

    def host(self) -> pb.Host:
        return pb.Host(id=self.name, name=self.name, addresses=["127.0.0.1"], ready=True)

    def define(self) -> pb.Define:
        """The node and the fields of its row: all that a segment has to define."""
        node = pb.Entity(id=NODE, level=pb.NODE, name=self.name)
        node.start_time_unix_ms = 1000 * next(
            int(line.split()[1]) for line in self._lines("stat") if line.startswith("btime ")
        )
        node.labels.update({"hostname": self.name, "host_id": self.name})
        metrics = [CPU_USAGE, CPU_CAPACITY, MEMORY_CAPACITY, MEMORY_USAGE, MEMORY_WORKING_SET]
        fields = [pb.Field(metric=metric) for metric in metrics]
        fields.append(pb.Field(custom=pb.CustomMetric(name="load/1m", real=True)))
        return pb.Define(entities=[node], layouts=[pb.Layout(id=LAYOUT, fields=fields)])

    def batch(self, tick_ms: int) -> pb.Batch:
        """The row of a tick, with its counter's increase since the row before where it is known."""
        now, before = self._sample(), self.before
        self.before = now
        cpu = pb.Column(ints=[now.cpu_ns])
        interval_ms = 0
        if before and now.time_ms > before.time_ms and now.cpu_ns >= before.cpu_ns:
            cpu.increases.append(now.cpu_ns - before.cpu_ns)
            interval_ms = now.time_ms - before.time_ms
        columns = [
            cpu,
            pb.Column(reals=[1000.0 * now.cores]),
            pb.Column(reals=[float(now.memory_total)]),
            pb.Column(ints=[now.memory_usage]),
            pb.Column(ints=[now.memory_working_set]),
            pb.Column(reals=[now.load]),
        ]
        block = pb.Block(layout=LAYOUT, entities=[NODE], columns=columns)
        block.time_ms.ints.append(now.time_ms - tick_ms)
        block.interval_ms.ints.append(interval_ms)
        return pb.Batch(tick_unix_ms=tick_ms, blocks=[block])

    def _sample(self) -> Sample:
        lines = self._lines("stat")
        # user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
        times = [int(word) for word in lines[0].split()[1:9]]
        busy = sum(times) - times[3] - times[4]
        memory = {
            name: 1024 * int(value.split()[0])
            for name, value in (line.split(":") for line in self._lines("meminfo"))
        }
        usage = memory["MemTotal"] - memory["MemFree"]
        return Sample(
            time_ms=time.time_ns() // 1_000_000,
            cpu_ns=busy * 1_000_000_000 // TICKS_PER_S,
            cores=sum(line.startswith("cpu") for line in lines) - 1,
            memory_total=memory["MemTotal"],
            memory_usage=usage,
            memory_working_set=max(usage - memory["Inactive(file)"], 0),
            load=float(self._lines("loadavg")[0].split()[0]),
        )

    def _lines(self, file: str) -> list[str]:
        return (self.proc / file).read_text().splitlines()
