"""Where one should have stopped: `python -m dlmreason.stopping records=<file> of=<arm> [bar=<score>]`.

This file decides what a person sees of each rule: a line with its accuracy, its passes and both regrets. It reads
records and imports no torch.
"""

import sys
from collections.abc import Iterator, Sequence

from dlmreason import launch
from dlmreason.analysis import words
from dlmreason.analysis.records import RecordsError
from dlmreason.analysis.stopping import Certified, Oracle, Outcome, Share, curves_of, ladder_of_rules, outcomes
from dlmreason.compare import records_of


def lines(found: Sequence[Outcome]) -> Iterator[str]:
    """What is said of each rule."""
    yield f"{found[0].rows:,} rows; what the oracle gets right and a rule does not is lost, what it makes later beyond"
    width = max(len(each.rule) for each in found)
    for each in found:
        yield (
            f"{each.rule:{width}}  {words.percent(each.accuracy)} right at {each.passes:,.1f} passes; "
            f"lost {words.percent(each.lost.mean)} {words.percent_interval(each.lost.low, each.lost.high)}, "
            f"beyond {_passes(each.beyond)} passes"
        )


def _passes(share: Share) -> str:
    return f"{share.mean:,.1f} [{share.low:,.1f}, {share.high:,.1f}]"


def main(settings: launch.Settings) -> int:
    """The entry point."""
    path, found = records_of(settings["records"])
    with launch.refused(str(path), RecordsError, ValueError):
        curves = curves_of(found, settings["of"])
        certified = [] if settings["bar"] is None else [Certified(settings["bar"])]
        for line in lines(outcomes(curves, [Oracle(), *ladder_of_rules(curves), *certified])):
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(launch.run(main, "stopping"))
