"""Carries a log to the master: Ingest streams with their segments, credit and receipts.

What is measured now goes up a LIVE stream. After a cut that stream goes on with the next frame,
and those before it that were not answered follow on a BACKFILL stream, as do frames that the
master answered with RETRY.

Each stream starts a segment of its own with the same definitions, which never change here. As
every row is written absolute, a frame needs nothing else of what went before it.
"""

import itertools
import random
import sys
import threading
import time
from collections.abc import Iterable, Iterator

import grpc
from heapster.v1 import heapster_pb2 as pb
from heapster.v1 import heapster_pb2_grpc as rpc

from log import Log

KEEPALIVE = [("grpc.keepalive_time_ms", 20_000)]


class Stream:
    """One Ingest stream: frames up as far as the credit goes, receipts down."""

    def __init__(self, log: Log, sequences: Iterable[int]):
        self.log, self.sequences = log, sequences
        self.over = threading.Event()
        self.granted = self.left = 0  # bytes of credit: at first, and now
        self.answered = False

    def run(self, stub: rpc.HeapsterStub, opening: pb.Open, define: pb.Define) -> None:
        """Until all is sent and answered; raises grpc.RpcError when the stream is cut."""
        try:
            for receipt in stub.Ingest(self._say(opening, define)):
                self._hear(receipt)
        finally:
            self.end()

    def end(self) -> None:
        with self.log.changed:
            self.over.set()
            self.log.changed.notify_all()

    def _say(self, opening: pb.Open, define: pb.Define) -> Iterator[pb.Frame]:
        """Taken by grpc in a thread of its own."""
        first = pb.Frame(open=opening)
        self.left -= first.ByteSize()  # the only frame that may go before there is credit
        yield first
        yield from self._pay(pb.Frame(define=define))
        for sequence in self.sequences:
            frame = self.log.wait_for(sequence, self.over)
            if frame is None:
                return
            yield from self._pay(frame)

    def _pay(self, frame: pb.Frame) -> Iterator[pb.Frame]:
        """The frame when there is credit for it: its bytes, or all there is where it is larger.

        Nothing where the stream is over before that: what has no credit is never sent.
        """
        size = frame.ByteSize()
        with self.log.changed:
            self.log.changed.wait_for(
                lambda: self.over.is_set() or self.granted and self.left >= min(size, self.granted)
            )
            if self.over.is_set():
                return
            self.left -= size
        yield frame

    def _hear(self, receipt: pb.Receipt) -> None:
        kind = receipt.WhichOneof("kind")
        if kind == "credit":
            with self.log.changed:
                self.granted = self.granted or receipt.credit.bytes
                self.left += receipt.credit.bytes
                self.log.changed.notify_all()
        elif kind == "delivery":
            self.answered = True
            if receipt.delivery.message:
                print(f"the master says: {receipt.delivery.message}", file=sys.stderr, flush=True)
            self.log.take(receipt.delivery)


class Uplink:
    """Carries a log over one session after the other."""

    def __init__(self, log: Log, instance_id: str, define: pb.Define):
        self.log, self.instance_id, self.define = log, instance_id, define
        self.segments = itertools.count(1)
        self.session_id = ""
        self.streams: set[Stream] = set()

    def begin(self, master: str, session_id: str) -> None:
        """A new session takes the place of the one before."""
        self.end()
        self.session_id = session_id
        for purpose in (pb.Open.LIVE, pb.Open.BACKFILL):
            arguments = (master, session_id, purpose)
            threading.Thread(target=self._carry, args=arguments, daemon=True).start()

    def end(self) -> None:
        """The session is over, and its streams with it."""
        self.session_id = ""
        for stream in list(self.streams):
            stream.end()

    def _carry(self, master: str, session_id: str, purpose: pb.Open.Purpose) -> None:
        """Streams of one purpose, one after the other, as long as the session lasts."""
        failures = 0
        while self.session_id == session_id:
            stream = Stream(self.log, self._sequences(purpose))
            if not stream.sequences:
                with self.log.changed:
                    self.log.changed.wait(1)
                continue
            opening = pb.Open(session_id=session_id, instance_id=self.instance_id, purpose=purpose)
            opening.segment = next(self.segments)
            opening.delivered_through = self.log.oldest - 1
            self.streams.add(stream)
            try:
                with grpc.insecure_channel(master, KEEPALIVE) as channel:
                    stream.run(rpc.HeapsterStub(channel), opening, self.define)
            except grpc.RpcError as error:
                if self.session_id == session_id:
                    print(f"rows: {error.details()}", file=sys.stderr, flush=True)
                if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                    return  # the session is over; Control is opened again, and begins the next
            finally:
                self.streams.discard(stream)
            failures = 0 if stream.answered else failures + 1
            time.sleep(random.uniform(0.1, min(30, 2**failures)))

    def _sequences(self, purpose: pb.Open.Purpose) -> Iterable[int]:
        """The frames of the next stream."""
        if purpose == pb.Open.LIVE:
            return itertools.count(self.log.cut())
        return self.log.due_range()
