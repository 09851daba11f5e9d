"""The log of a buddy: its numbered frames, each kept until the master has answered for it."""

import threading
import time

from heapster.v1 import heapster_pb2 as pb

MOST_FRAMES = 10_000


class Log:
    """The frames from the oldest that was not delivered up to the newest, without a gap."""

    def __init__(self, most_frames: int = MOST_FRAMES):
        self.changed = threading.Condition()
        self.frames: dict[int, pb.Frame] = {}
        self.settled: set[int] = set()  # answered, but an older frame is not
        self.due: dict[int, float] = {}  # to be sent again, and when
        self.newest = 0
        self.dropped = 0
        self.most_frames = most_frames

    @property
    def oldest(self) -> int:
        """The oldest that was not delivered; the one that comes next where all were."""
        return next(iter(self.frames), self.newest + 1)

    def append(self, **kind) -> None:
        """Numbers a Batch, Events or RoundEnd. The oldest frame makes room in a full log."""
        with self.changed:
            self.newest += 1
            self.frames[self.newest] = pb.Frame(sequence=self.newest, **kind)
            if len(self.frames) > self.most_frames:
                self._forget(self.oldest)
                self.dropped += 1
            self.changed.notify_all()

    def take(self, delivery: pb.Delivery) -> None:
        """What became of frames. DELIVERED and REJECTED are final; RETRY says when to try again."""
        with self.changed:
            answered = range(delivery.first_sequence, delivery.last_sequence + 1)
            for sequence in [one for one in self.frames if one in answered]:
                if delivery.outcome == pb.Delivery.RETRY:
                    self.due[sequence] = time.monotonic() + delivery.retry_after_ms / 1000
                else:
                    self.settled.add(sequence)
                    self.due.pop(sequence, None)
            while self.frames and self.oldest in self.settled:
                self._forget(self.oldest)
            self.changed.notify_all()

    def cut(self) -> int:
        """The live stream was cut: all frames so far are to be sent again. The next live one."""
        with self.changed:
            for sequence in self.frames.keys() - self.settled:
                self.due.setdefault(sequence, time.monotonic())
            self.changed.notify_all()
            return self.newest + 1

    def due_range(self) -> range:
        """The frames to send again now, with those in between: a stream's numbers have no gap."""
        with self.changed:
            now = time.monotonic()
            due = [sequence for sequence, at in self.due.items() if at <= now]
            return range(min(due), max(due) + 1) if due else range(0)

    def wait_for(self, sequence: int, over: threading.Event) -> pb.Frame | None:
        """A frame, once it is there; none when the stream is over, or the frame forgotten."""
        with self.changed:
            self.changed.wait_for(lambda: over.is_set() or sequence <= self.newest)
            return None if over.is_set() else self.frames.get(sequence)

    def drained(self, seconds: float) -> bool:
        """Waits until everything was delivered, but not longer."""
        with self.changed:
            return self.changed.wait_for(lambda: not self.frames, seconds)

    def _forget(self, sequence: int) -> None:
        del self.frames[sequence]
        self.settled.discard(sequence)
        self.due.pop(sequence, None)
