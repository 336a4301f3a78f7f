"""Two arms on the same puzzles: `python -m dlmreason.compare records=<file> first=<arm@budget> second=<arm@budget>`.

This file decides what a person sees of a pair: both shares, the paired difference with its interval and p, what it
rests on, and where one of the arms overtakes the other. Nothing is corrected for other comparisons, since it knows of
none. It reads records and imports no torch.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from dlmreason import launch
from dlmreason.analysis import packed, words
from dlmreason.analysis.comparison import LEVEL, At, Table, compare, point, table
from dlmreason.analysis.crossing import DEPTH, FLOPS, Axis, crossing, said, seconds
from dlmreason.analysis.family import place, within_reach
from dlmreason.analysis.pace import latency, throughput
from dlmreason.analysis.records import Measurement, RecordsError, Timing, read


def lines(found: Table, first: At, second: At) -> Iterator[str]:
    """What is said of a pair.  Raises: RecordsError where the two share no puzzle."""
    difference = compare(found, first, second)
    for at in (first, second):
        here = point(at, found.cells[at])
        yield (
            f"{at.arm} at {words.passes(at.rung)}: {words.percent(here['accuracy'])} "
            f"{words.percent_interval(here['low'], here['high'])} of {here['n']:,} answers, "
            f"{words.flops(here['flops'])} each"
        )
    seeds = "" if difference.pairs == difference.puzzles else f", {difference.pairs:,} pairs with their seeds"
    yield (
        f"{second.arm} over {first.arm}: {words.points_of_gain(difference.gain, difference.low, difference.high)}, "
        f"{words.p_value(difference.p)} (paired, not corrected for other comparisons), "
        f"n = {difference.puzzles:,} puzzles{seeds}; "
        f"{difference.only_first:,} right with {first.arm} alone, {difference.only_second:,} with {second.arm} alone"
    )
    reach = within_reach(difference.only_first + difference.only_second, difference.pairs, difference.puzzles)
    if difference.p >= LEVEL and reach:
        yield f"that settles nothing: {reach}"


def _axis(name: str, path: Path) -> Axis:
    """The axis of a name; what took how long is read from the files beside the records."""
    if name in (known := {"flops": FLOPS, "depth": DEPTH}):
        return known[name]
    timed = name == "seconds"
    own = path.name.removesuffix(".gz").replace(".parquet", ".jsonl")
    beside = path.with_name(own.replace("records", "timings" if timed else "measurements"))
    try:
        if timed:
            return seconds(read(beside, Timing).items)
        return {"latency": latency, "throughput": throughput}[name](read(beside, Measurement).items)
    except OSError as error:
        how = "" if timed else "; budget.time=true writes it"
        raise launch.BadInput(f"axis={name}: {beside} cannot be read: {error.strerror}{how}") from None


def records_of(given: str) -> tuple[Path, Table]:
    """The file of records, itself or that of a folder, and what it holds; what cannot be used is told of.

    Raises: BadInput.
    """
    path = Path(given)
    if path.is_dir():
        found = packed.records_in(path)
        if found is None:
            raise launch.BadInput(f"records={path}: there is none of {', '.join(packed.FILES)} in it: give the file")
        path = found
    try:
        contents = packed.load(path)
    except OSError as error:
        raise launch.BadInput(f"records={path}: cannot be read: {error.strerror}") from None
    for problem in contents.problems:
        launch.say(f"left out: {problem}")
    with launch.refused(str(path), RecordsError):
        return path, table(contents.items)


def main(settings: launch.Settings) -> int:
    """The entry point."""
    path, found = records_of(settings["records"])
    with launch.refused(str(path), RecordsError):
        first = place(found, settings["first"], settings["second"])
        second = place(found, settings["second"], settings["first"])
        for line in lines(found, first, second):
            print(line)
        axis = _axis(settings["axis"], path)
        try:
            about = list(said(crossing(found, first.arm, second.arm, axis), axis))
        except RecordsError as error:
            about = [f"where one overtakes the other cannot be said: {error}"]
        print("\n".join(about))
    return 0


if __name__ == "__main__":
    sys.exit(launch.run(main, "compare"))
