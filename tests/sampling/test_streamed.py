"""Laws of stories that are written while they are walked: what they tell, what it takes, and when it is thinned."""

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmreason.policies import presets
from dlmreason.policies.gibbs import Gibbs
from dlmreason.sampling import tracefile
from dlmreason.sampling.denoise import Counts, Sampler, State
from dlmreason.sampling.events import KINDS
from dlmreason.sampling.streamed import PARTS, Streamed, rate, story
from dlmreason.sampling.trace import Tracer
from dlmreason.sampling.tracefile import Foot, Head
from tests.policies.walk import Opinions
from tests.toys import sudoku_rows

POLICIES: dict[str, Any] = {
    "change_of_mind": presets.change_of_mind(doubt=3, patience=2),
    "restarts": presets.restarts(),
    "gibbs": Gibbs(),
    "confidence": presets.ordered(count=2),
}
WHOLE = 10**6


def walked(folder: Path, name: str, passes: int, events: int, chunk: int = 16) -> tuple[Streamed, dict[int, State]]:
    """The files of four of six rows, and the last state of each of them."""
    rows = sudoku_rows(6)
    out = Streamed(folder, rows.id[[0, 1, 3, 5]].tolist(), events)
    ends = {}

    def after_chunk(pool: State, counts: Counts) -> None:
        out.flush()

    for state in Sampler(POLICIES[name], Opinions(), (passes,), 5, 4, chunk).run(
        rows, observe=out.observe, on_chunk=after_chunk
    ):
        out.flush()
        out.finish(state)
        ends[int(state.rows.id)] = state
    return out, {number: ends[number] for number in rows.id[[0, 1, 3, 5]].tolist()}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def replayed(found: tracefile.Story) -> dict[int, tuple[list[int], list[int]]]:
    """{passes: canvas and answer as told by then}."""
    canvas, answer, told = list(found.head.start), list(found.head.start), {}
    for frame in found.frames:
        for position, token in frame.canvas:
            canvas[position] = token
        for position, token in frame.answer:
            answer[position] = token
        told[frame.passes] = (list(canvas), list(answer))
    return told


@pytest.mark.parametrize("name", POLICIES)
def test_with_room_for_all_it_is_the_trace_that_is_kept_in_memory(name: str, tmp_path: Path) -> None:
    rows = sudoku_rows(6)
    tracer = Tracer(rows.id.tolist(), Opinions.mask_id)
    for _ in Sampler(POLICIES[name], Opinions(), (60,), 5, 4, 16).run(
        rows, observe=tracer.observe, on_chunk=lambda pool, counts: tracer.flush()
    ):
        tracer.flush()
    out, ends = walked(tmp_path, name, 60, WHOLE)
    assert len(content(tmp_path)) == 4
    for number, state in ends.items():
        told, known = story(out.path(number), Opinions.mask_id), tracer.traces[number]
        frames = [frame for frame in known.frames if frame["changes"]]
        assert told.start == known.start and told.answers == known.answers and len(frames) > 5
        assert told.frames == [frame | {"quality": None, "score": None} for frame in frames]
        found = tracefile.read(out.path(number))
        assert found is not None and found.foot is not None
        assert found.foot.counts == dict(zip(KINDS, state.events[0].tolist(), strict=True))


@pytest.mark.parametrize("events", [1, 20, 60, WHOLE])
@pytest.mark.parametrize("name", ["change_of_mind", "gibbs"])
def test_what_is_told_is_what_was_there_and_stays_within_its_bound(name: str, events: int, tmp_path: Path) -> None:
    passes = 70
    (whole, _), (out, ends) = (
        walked(tmp_path / "all", name, passes, WHOLE),
        walked(tmp_path / "it", name, passes, events),
    )
    for number, state in ends.items():
        full, found = tracefile.read(whole.path(number)), tracefile.read(out.path(number))
        assert full is not None and found is not None and found.foot is not None
        known, told = replayed(full), replayed(found)
        for at, said in told.items():
            assert said == known[max(date for date in known if date <= at)]
        counts = [len(frame.canvas) + len(frame.answer) for frame in found.frames]
        assert sum(counts[:-1]) <= events and counts[-1] <= 2 * 16
        last = list(told.values())[-1]
        assert last == (state.tokens[0].tolist(), state.answer[0].tolist())
        assert found.foot.counts == dict(zip(KINDS, state.events[0].tolist(), strict=True))
        before, done = 0, 0
        for frame, count in zip(found.frames[:-1], counts, strict=False):
            every = rate(done, events)
            assert frame.passes // every > before // every
            before, done = frame.passes, done + count
        assert len(told) < len(known) or events == WHOLE


@pytest.mark.parametrize("name", POLICIES)
def test_a_file_is_the_same_bytes_in_any_chunks(name: str, tmp_path: Path) -> None:
    for chunk in (1, 7, 32):
        walked(tmp_path / str(chunk), name, 40, 60, chunk)
    assert content(tmp_path / "1") == content(tmp_path / "7") == content(tmp_path / "32")
    assert len(set(content(tmp_path / "1").values())) == 4


def test_a_change_takes_at_most_16_bytes_and_what_is_remembered_does_not_grow(tmp_path: Path) -> None:
    rows, sizes = sudoku_rows(4), list[int]()
    out = Streamed(tmp_path, rows.id.tolist(), WHOLE)
    sampler = Sampler(POLICIES["change_of_mind"], Opinions(), (10**6,), 5, 4)
    state = sampler.init(rows)
    for _ in range(8):
        state = sampler.advance(state, 32, out.observe)
        out.flush()
        out.sync()
        sizes.append(len(pickle.dumps(out.__dict__)))
    assert sizes[-1] <= sizes[0] + 4 * 16  # the same lists, and larger numbers
    for path in tmp_path.iterdir():
        found = tracefile.read(path)
        assert found is not None
        changes = sum(len(frame.canvas) + len(frame.answer) for frame in found.frames)
        assert changes > 500 and path.stat().st_size / changes <= tracefile.MOST_BYTES / 4


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 2**42),
    st.lists(st.tuples(st.integers(0, 2**14 - 1), st.integers(0, 2**21 - 1)), unique_by=lambda change: change[0]),
    st.lists(st.tuples(st.integers(0, 2**14 - 1), st.integers(0, 2**21 - 1)), unique_by=lambda change: change[0]),
)
def test_a_frame_is_read_as_it_was_written_however_far_apart(gap: int, canvas: Any, answer: Any) -> None:
    canvas, answer = sorted(canvas), sorted(answer)
    written = tracefile.frame(gap, canvas, answer)
    if canvas or answer:
        assert len(written) <= 13 * (len(canvas) + len(answer)) < tracefile.MOST_BYTES * (len(canvas) + len(answer))
    assert len(tracefile.frame(2**42 - 1, [(2**14 - 1, 2**21 - 1)], [])) == 13
    with pytest.MonkeyPatch.context() as patch:
        data = tracefile.head(Head(9, [4, 300, 0])) + written
        ended = data + tracefile.foot(Foot(2**41, dict.fromkeys(KINDS, 128)))
        for given_, foot in ((data, None), (ended, Foot(2**41, dict.fromkeys(KINDS, 128)))):
            patch.setattr(Path, "exists", lambda path: True)
            patch.setattr(Path, "read_bytes", lambda path, given_=given_: given_)
            found = tracefile.read(Path("it"))
            assert found is not None and found.head == Head(9, [4, 300, 0]) and found.foot == foot
            assert [(each.passes, each.canvas, each.answer, each.end) for each in found.frames] == [
                (gap, canvas, answer, len(data))
            ]
        for cut in range(found.head_size, len(data)):  # torn anywhere, the frame is not there
            patch.setattr(Path, "read_bytes", lambda path, cut=cut: data[:cut])
            torn = tracefile.read(Path("it"))
            assert torn is not None and torn.frames == [] and torn.foot is None


def test_the_second_half_is_told_at_half_the_rate_of_the_part_before() -> None:
    assert [rate(told, 640) for told in (0, 319, 320, 329, 330, 339, 340, 639)] == [1, 1, 2, 2, 4, 4, 8, 2**PARTS]
    assert rate(0, 1) == 2 and rate(10**6, 1) > 2**40


def test_it_refuses_what_makes_no_sense_and_reads_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="events=0: a story tells 1 change or more"):
        Streamed(tmp_path, [1], 0)
    assert tracefile.read(tmp_path / "none") is None
    for data in (b"", b"something else", tracefile.head(Head(9, [4, 300, 0]))[:-1]):
        (tmp_path / "it").write_bytes(data)
        assert tracefile.read(tmp_path / "it") is None
        with pytest.raises(ValueError, match="its head is torn: remove it"):
            story(tmp_path / "it", 4)
