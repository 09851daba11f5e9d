"""Rows against a played master that is stingy with credit and puts frames off."""

import time
import unittest
from collections.abc import Iterator
from concurrent import futures

import grpc
from heapster.v1 import heapster_pb2 as pb
from heapster.v1 import heapster_pb2_grpc as rpc

from ingest import Stream, Uplink
from log import Log

CREDIT = 100


class PlayedMaster(rpc.HeapsterServicer):
    """Takes frames, puts one of them off once, and notes what it saw."""

    def __init__(self, put_off: int):
        self.put_off = put_off
        self.opened: list[pb.Open] = []
        self.came: list[tuple[int, int]] = []  # purpose and sequence
        self.overdrawn = 0

    def Ingest(self, frames: Iterator[pb.Frame], _context) -> Iterator[pb.Receipt]:
        credit = CREDIT
        yield pb.Receipt(credit=pb.Credit(bytes=CREDIT))
        for frame in frames:
            size = frame.ByteSize()
            self.overdrawn += credit < min(size, CREDIT)
            if frame.HasField("open"):
                self.opened.append(frame.open)
                purpose = frame.open.purpose
            elif not frame.HasField("define"):
                self.came.append((purpose, frame.sequence))
                yield pb.Receipt(delivery=self._answer(frame.sequence))
            time.sleep(0.01)  # in which a buddy that heeds no credit would send on
            yield pb.Receipt(credit=pb.Credit(bytes=size))

    def _answer(self, sequence: int) -> pb.Delivery:
        delivery = pb.Delivery(first_sequence=sequence, last_sequence=sequence)
        delivery.outcome = pb.Delivery.DELIVERED
        if sequence == self.put_off:
            self.put_off = 0
            delivery.outcome, delivery.retry_after_ms = pb.Delivery.RETRY, 100
        return delivery


def fill(log: Log, count: int) -> None:
    for tick in range(count):
        log.append(batch=pb.Batch(tick_unix_ms=1000 + tick))


class LogTest(unittest.TestCase):
    def answer(self, log: Log, sequence: int, outcome: pb.Delivery.Outcome) -> None:
        log.take(pb.Delivery(first_sequence=sequence, last_sequence=sequence, outcome=outcome))

    def test_what_is_final_is_forgotten_and_what_is_put_off_comes_again(self):
        log = Log()
        fill(log, 4)
        self.answer(log, 1, pb.Delivery.DELIVERED)
        self.answer(log, 2, pb.Delivery.RETRY)
        self.answer(log, 3, pb.Delivery.REJECTED)
        self.answer(log, 4, pb.Delivery.RETRY)
        self.assertEqual(log.due_range(), range(2, 5), "without a gap, so 3 comes again")
        self.answer(log, 2, pb.Delivery.DELIVERED)
        self.assertEqual((log.oldest, list(log.frames)), (4, [4]))

    def test_a_full_log_drops_its_oldest_frame_and_counts_it(self):
        log = Log(most_frames=3)
        fill(log, 5)
        self.assertEqual((list(log.frames), log.dropped), ([3, 4, 5], 2))

    def test_after_a_cut_only_what_is_not_answered_is_due(self):
        log = Log()
        fill(log, 3)
        self.answer(log, 1, pb.Delivery.DELIVERED)
        self.assertEqual(log.cut(), 4, "the live stream goes on behind them")
        self.assertEqual(log.due_range(), range(2, 4))


class StreamTest(unittest.TestCase):
    def test_a_stream_that_ends_while_it_waits_for_credit_sends_nothing_more(self):
        log = Log()
        fill(log, 1)
        stream = Stream(log, [1])
        frames = stream._say(pb.Open(segment=1), pb.Define())
        self.assertTrue(next(frames).HasField("open"), "needs no credit")
        stream.end()
        self.assertEqual(list(frames), [])


class IngestTest(unittest.TestCase):
    def test_credit_is_heeded_and_a_frame_that_was_put_off_is_sent_again(self):
        master, log = PlayedMaster(put_off=12), Log()
        server = grpc.server(futures.ThreadPoolExecutor(4))
        rpc.add_HeapsterServicer_to_server(master, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(server.stop, None)
        fill(log, 10)
        uplink = Uplink(log, "instance", pb.Define(ended=[]))
        self.addCleanup(uplink.end)
        uplink.begin(f"127.0.0.1:{port}", "lab/1")
        self.assertTrue(log.drained(10), "what was there before the stream came over BACKFILL")
        fill(log, 10)
        self.assertTrue(log.drained(10), "and the rest, the one that was put off included")

        self.assertEqual(master.overdrawn, 0)
        backfilled = [number for purpose, number in master.came if purpose == pb.Open.BACKFILL]
        live = [number for purpose, number in master.came if purpose == pb.Open.LIVE]
        self.assertEqual(backfilled, [*range(1, 11), 12])
        self.assertEqual(live, list(range(11, 21)))
        segments = [opened.segment for opened in master.opened]
        self.assertEqual(len(set(segments)), len(segments), "each is a segment of its own")
        last = master.opened[-1]
        self.assertEqual((last.purpose, last.delivered_through), (pb.Open.BACKFILL, 11))


if __name__ == "__main__":
    unittest.main()
