"""One row's story in a file: how it lies there, a few bytes a change.

This file decides the bytes: a head with the first canvas, a frame for each pass that is told, which holds the tokens
that differ from the canvas and answer told before, and a foot once the row has finished. Numbers are of as many 7-bit
groups as they need (LEB128), passes and positions are told by their distance from the last. It knows neither when a
frame is due nor who asks.

    head   DLMT1 length events canvas[length]
    frame  passes since the last frame (1 or more), changes of the canvas, changes of the answer,
           then for each change: positions since the last one in its list (the first from 0), token
    foot   0, passes, and the exact count of each kind of `events.KINDS`, told or not
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dlmreason.sampling.events import KINDS

_MAGIC = b"DLMT1"

MOST_BYTES = 16
"""A change takes no more bytes on disk, its share of the frame's own numbers included, and no more than 13 up to 2**14
positions, 2**21 tokens and 2**42 passes."""

Changes = list[tuple[int, int]]
"""(position, token), ascending by position."""


class Head(NamedTuple):
    events: int  # changes that the file may tell
    start: list[int]  # the first canvas


class Frame(NamedTuple):
    passes: int  # made by then
    canvas: Changes
    answer: Changes
    end: int  # bytes of the file up to here


class Foot(NamedTuple):
    passes: int  # by which the last one was made
    counts: dict[str, int]  # of each of `events.KINDS`


class Story(NamedTuple):
    """What a file holds, up to where it is torn; a foot ends it."""

    head: Head
    head_size: int
    frames: list[Frame]
    foot: Foot | None


def _numbers(values: Sequence[int]) -> bytes:
    """Numbers of 0 or more as LEB128."""
    out = bytearray()
    for value in values:
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        out.append(value)
    return bytes(out)


def head(given: Head) -> bytes:
    return _MAGIC + _numbers([len(given.start), given.events, *given.start])


def frame(gap: int, canvas: Changes, answer: Changes) -> bytes:
    """gap: passes since the last frame, or the start."""
    return _numbers([gap, len(canvas), len(answer), *_packed(canvas), *_packed(answer)])


def foot(given: Foot) -> bytes:
    return _numbers([0, given.passes, *(given.counts[kind] for kind in KINDS)])


def _packed(changes: Changes) -> Iterator[int]:
    before = 0
    for position, token in changes:
        yield from (position - before, token)
        before = position


class _Reader:
    """Numbers one after another. Raises: IndexError at the end of the bytes."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self.at = data, at

    def next(self) -> int:
        value = shift = 0
        while True:
            byte = self._data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def changes(self, count: int) -> Changes:
        found, position = [], 0
        for _ in range(count):
            position += self.next()
            found.append((position, self.next()))
        return found


def read(path: Path) -> Story | None:
    """What a file holds, as far as it is whole; None where there is no such file or its head is torn."""
    data = path.read_bytes() if path.exists() else b""
    if not data.startswith(_MAGIC):
        return None
    reader = _Reader(data, len(_MAGIC))
    try:
        length, events = reader.next(), reader.next()
        start = [reader.next() for _ in range(length)]
    except IndexError:
        return None
    size, frames, passes = reader.at, list[Frame](), 0
    try:
        while gap := reader.next():
            counts = reader.next(), reader.next()
            passes += gap
            frames.append(Frame(passes, reader.changes(counts[0]), reader.changes(counts[1]), reader.at))
        last = Foot(reader.next(), {kind: reader.next() for kind in KINDS})
    except IndexError:
        return Story(Head(events, start), size, frames, None)
    return Story(Head(events, start), size, frames, last if reader.at == len(data) else None)
