"""What a run found, in numbers and in words: the content of `summary.json`.

This file decides which comparisons a claim is judged by and what is said of them, whoever won. It reads records only,
so the verdict can be checked against the file it came from. Words follow the interval and the corrected test, never the
point alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from dlmreason.analysis import words
from dlmreason.analysis.comparison import (
    COMPANION,
    LEVEL,
    At,
    Fall,
    Removed,
    Table,
    Winner,
    best_rung,
    by_difficulty,
    errors_removed,
    falls,
    is_companion,
    points,
    table,
    winners,
)
from dlmreason.analysis.crossing import FLOPS, crossing, plain
from dlmreason.analysis.family import Compared, Pair, corrected, declared, said, within_reach
from dlmreason.analysis.footing import still_learning, unmatched
from dlmreason.analysis.records import Record, RecordsError
from dlmreason.analysis.revisions import revisions
from dlmreason.analysis.state_auc import LONG, state_auc
from dlmreason.analysis.statistics import pairs_needed

FEW_ERRORS = 20
"""Below so many errors of the base, a share of them says little."""


def summary(
    records: Iterable[Record],
    *,
    mind: str = "change_of_mind",
    base: str = "confidence",
    controls: Sequence[str] = ("restarts", "random_doubt"),
    learning: Mapping[str, Mapping[str, float]] | None = None,
    family: Sequence[Sequence[str]] | None = None,
    tolerance: float | None = None,
    bounds: Iterable[str] = (),
) -> dict[str, Any]:
    """Plain data for `summary.json`; the keys of `arms` and `points` are read by other programs.

    mind: the arm whose claim this is.  base: the arm whose errors it should remove.  controls: what it has to beat at
    equal budgets.  learning: arm -> {"half": accuracy, "full": accuracy} at half and at full training.
    family: the comparisons that were declared, `[first, second]` each, as in `family.declared`; all others are then
    exploratory.  tolerance: the share by which the FLOPs of compared points may differ; without a family those are all
    arms at each budget.  bounds: arms that asked the judge or were told the answer; they compete with nobody.

    Raises: RecordsError for records that cannot be compared (see `comparison.table`), or lack what was declared.
    """
    found = table(records, bounds)
    pairs = declared(found, family or ())
    judged = corrected(found, pairs)
    crossings = _crossings(found, pairs)
    won = winners(found)
    fallen = [fall for arm in found.competitors for fall in falls(found, arm)]
    areas = {arm: rows for arm in found.answering if (rows := state_auc(found, arm))}
    comparisons = _rivals(found, mind, controls)
    removed = _removed(found, mind, base)
    sentences = [
        *_family_sentences(judged, crossings),
        *_headline(found, won),
        *_bound_sentences(found),
        *_winner_sentences(won),
        *_removed_sentences(removed),
        *_control_sentences(found, mind, controls, comparisons),
        *_fall_sentences(found, fallen),
        *_area_sentences(areas),
        *_learning_sentences(learning or {}),
        *_paper_sentences(found),
    ]
    keys = {key for cell in found.cells.values() for key in cell}
    return {
        "task": found.task,
        "split": found.split,
        "puzzles": len({example for example, _ in keys}),
        "seeds": sorted({seed for _, seed in keys}),
        "arms": {arm: _arm(found, arm, fallen) for arm in found.arms},
        "verdict": " ".join(sentences),
        "sentences": sentences,
        "winners": [winner._asdict() for winner in won],
        "errors_removed": _plain_removed(removed) if removed else None,
        "family": [_plain_compared(row) for row in judged],
        "crossings": crossings,
        "comparisons": comparisons,
        "falls": [_plain_fall(fall) for fall in fallen],
        "difficulty": [row._asdict() for row in by_difficulty(found)],
        "revisions": {arm: rows for arm in found.answering if (rows := revisions(found, arm))},
        "state_auc": areas,
        "learning": {arm: dict(shares) for arm, shares in (learning or {}).items()},
        "still_learning": still_learning(learning or {}),
        "no_common_axis": None if tolerance is None else unmatched(found, pairs or _at_equal_budgets(found), tolerance),
    }


def _at_equal_budgets(found: Table) -> list[Pair]:
    """Every two competing arms at every budget that both have, where they share a puzzle."""
    return [
        (At(first, rung), At(second, rung))
        for first, second in combinations(found.competitors, 2)
        for rung in found.rungs(first, second)
        if found.cells[At(first, rung)].keys() & found.cells[At(second, rung)].keys()
    ]


def _arm(found: Table, arm: str, fallen: Sequence[Fall]) -> dict[str, Any]:
    return {
        "points": points(found, arm),
        "best_rung": best_rung(found, arm),
        "falls": sum(fall.arm == arm for fall in fallen),
        "companion_of": arm.removesuffix(COMPANION) if is_companion(arm, found.arms) else None,
        "bound": arm in found.bounds,
    }


def _rivals(found: Table, mind: str, controls: Sequence[str]) -> list[dict[str, Any]]:
    """`mind` against every other arm at the highest budget of both, corrected over all of them, controls first."""
    if mind not in found.arms:
        return []
    rivals = [arm for arm in controls if arm in found.arms]
    rivals += [arm for arm in found.competitors if arm not in rivals and arm != mind]
    pairs = []
    for rival in rivals:
        for rung in found.rungs(mind, rival)[-1:]:
            first, second = At(rival, rung), At(mind, rung)
            if found.cells[first].keys() & found.cells[second].keys():
                pairs.append((first, second))
    return [_plain_compared(row) for row in corrected(found, pairs)]


def _removed(found: Table, mind: str, base: str) -> Removed | None:
    if mind not in found.arms or base not in found.arms:
        return None
    places = At(base, best_rung(found, base)), At(mind, found.rungs(mind)[-1])
    if not found.cells[places[0]].keys() & found.cells[places[1]].keys():
        return None
    return errors_removed(found, *places)


def _headline(found: Table, won: Sequence[Winner]) -> list[str]:
    ends = [points(found, arm)[-1] for arm in found.competitors]
    if not any(end["accuracy"] for end in ends):
        most = max(end["puzzles"] for end in ends)
        return [f"At its highest budget no arm is right about any of {most:,} puzzles."]
    if not won:
        return []
    top = won[-1]
    here = next(each for each in points(found, top.arm) if each["rung"] == top.rung)
    text = (
        f"At the highest budget, {words.passes(top.rung)}, {top.arm} is right most often: "
        f"{words.percent(here['accuracy'])} {words.percent_interval(here['low'], here['high'])} "
        f"of {here['puzzles']:,} puzzles for {words.flops(here['flops'])} each"
    )
    return [text + (f"; {words.listed(top.tied)} cannot be told from it." if top.tied else ".")]


def _bound_sentences(found: Table) -> list[str]:
    told = [arm for arm in found.answering if arm in found.bounds]
    if not told:
        return []
    each = "is an upper bound and no result: it was" if len(told) == 1 else "are upper bounds and no results: they were"
    return [f"{words.listed(told)} {each} told what is right."]


def _winner_sentences(won: Sequence[Winner]) -> list[str]:
    """One sentence: budgets with the same winner and the same ties are joined."""
    groups: list[tuple[tuple[str, list[str]], list[int]]] = []
    for winner in won:
        key = (winner.arm, winner.tied)
        if groups and groups[-1][0] == key:
            groups[-1][1].append(winner.rung)
        else:
            groups.append((key, [winner.rung]))
    parts = []
    for (arm, tied), rungs in groups:
        span = f"{rungs[0]:,}" if len(rungs) == 1 else f"{rungs[0]:,} to {rungs[-1]:,}"
        parts.append(f"{span}: {arm}" + (f" (not to be told from {words.listed(tied, 'or')})" if tied else ""))
    return [f"Winner at each budget, in passes or what they buy: {'; '.join(parts)}."] if parts else []


def _removed_sentences(removed: Removed | None) -> list[str]:
    if removed is None:
        return []
    base, difference = removed.base, removed.difference
    other = f"{removed.other.arm} at {words.passes(removed.other.rung)}"
    best = f"{base.arm} at its best budget ({words.passes(base.rung)})"
    if removed.share is None or removed.low is None or removed.high is None:
        return [f"{best} made no error, so there was none to remove: the puzzles are too easy for it."]
    gain = words.points_of_gain(difference.gain, difference.low, difference.high)
    gained = f"a paired gain of {gain}, {words.p_value(difference.p)}"
    if removed.share < 0:
        text = f"{other} made {removed.other_errors} errors where {best} made {removed.base_errors}: {gained}."
    else:
        text = (
            f"{other} removed {words.percent(removed.share)} {words.percent_interval(removed.low, removed.high)} "
            f"of the {removed.base_errors} errors that {best} made: {gained}."
        )
    if removed.base_errors < FEW_ERRORS:
        text += f" That is fewer than {FEW_ERRORS} errors: the puzzles are too easy to say much."
    return [text]


OVER = {"restarts": "starting over", "random_doubt": "doubting at random"}
"""What a control does, for the sentence that compares with it."""


def _control_sentences(
    found: Table, mind: str, controls: Sequence[str], comparisons: Sequence[Mapping[str, Any]]
) -> list[str]:
    if mind not in found.arms:
        return []
    result = []
    compared = {each["first"]["arm"]: each for each in comparisons}
    for control in controls:
        what = OVER.get(control, control)
        each = compared.get(control)
        if each is None:
            result.append(
                f"{control} was not run on these puzzles, so whether changing one's mind beats {what} is open."
            )
            continue
        numbers = (
            f"{words.points_of_gain(each['gain'], each['low'], each['high'])}, {words.p_value(each['p_corrected'])}"
        )
        at = f"at {words.passes(each['second']['rung'])}"
        if each["p_corrected"] < LEVEL:
            verb = "beat" if each["gain"] > 0 else "lost to"
            result.append(f"Changing one's mind {verb} {what} ({control}) {at}: {numbers}.")
            continue
        text = f"Changing one's mind did not beat {what} ({control}) {at}, nor lose to it: {numbers}"
        if each["gain"]:
            discordant = (each["only_first"] + each["only_second"]) / each["pairs"]
            text += f"; to settle such a difference takes about {pairs_needed(each['gain'], discordant):,} puzzles"
        reach = within_reach(each["only_first"] + each["only_second"], each["pairs"], each["puzzles"])
        result.append(f"{text}; {reach}." if reach else f"{text}.")
    return result


def _fall_sentences(found: Table, fallen: Sequence[Fall]) -> list[str]:
    if not any(len(found.rungs(arm)) > 1 for arm in found.competitors):
        return []
    if not fallen:
        return ["No arm falls significantly along its ladder (paired, Holm over all pairs of budgets)."]
    worst = {fall.arm: fall for fall in sorted(fallen, key=lambda each: -each.difference.gain)}
    return [
        f"More budget harmed {arm}: from {words.passes(fall.lower)} to {words.passes(fall.higher)} it falls by "
        f"{words.points_of_gain(*fall.difference[4:7])}, {words.p_value(fall.p)}."
        for arm, fall in worst.items()
    ]


def _area_sentences(areas: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Of arms that search long, whether what they keep the best by tells right from wrong."""
    parts = [
        f"{arm} {words.area(*(rows[-1][name] for name in ('auc', 'low', 'high')))} at {words.passes(rows[-1]['rung'])}"
        for arm, rows in areas.items()
        if rows[-1]["rung"] > LONG
    ]
    return [f"The chance that a right answer scores above a wrong one: {'; '.join(parts)}."] if parts else []


def _learning_sentences(learning: Mapping[str, Mapping[str, float]]) -> list[str]:
    parts = []
    for arm, shares in learning.items():
        rise = 100 * (shares["full"] - shares["half"])
        state = "still rising" if rise > 0 else "no longer rising"
        parts.append(
            f"{arm} {state}: {rise:+.1f} points ({words.percent(shares['half'])} to {words.percent(shares['full'])})"
        )
    return [f"From half to full training: {'; '.join(parts)}."] if parts else []


def _paper_sentences(found: Table) -> list[str]:
    """What a published, more lenient grader would have counted, at each arm's highest budget."""
    parts = []
    for arm in found.competitors:
        records = found.cells[At(arm, found.rungs(arm)[-1])].values()
        judged = [record for record in records if record.paper_correct is not None]
        if judged:
            lenient, strict = (sum(getattr(record, name) for record in judged) for name in ("paper_correct", "correct"))
            parts.append(f"{arm} {words.percent(lenient / len(judged))} for {words.percent(strict / len(judged))}")
    return [f"The published grader, which checks less, would have counted: {'; '.join(parts)}."] if parts else []


def _crossings(found: Table, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Of every two arms that a family compares, where one overtakes the other; none where their costs do not meet."""
    result = []
    for first, second in dict.fromkeys((first.arm, second.arm) for first, second in pairs if first.arm != second.arm):
        try:
            result.append(plain(crossing(found, first, second), FLOPS))
        except RecordsError as error:
            result.append({"first": first, "second": second, "axis": FLOPS.name, "words": [str(error)]})
    return result


def _family_sentences(judged: Sequence[Compared], crossings: Sequence[Mapping[str, Any]]) -> list[str]:
    if not judged:
        return []
    count = "one comparison was" if len(judged) == 1 else f"{len(judged)} comparisons were"
    about = f"Before the run {count} declared, Holm's correction is over these, and all others are exploratory."
    followed = [f"{each['second']} against {each['first']}: {'; '.join(each['words'])}." for each in crossings]
    return [*(f"Declared: {said(row, LEVEL)}." for row in judged), about, *followed]


def _plain_compared(row: Compared) -> dict[str, Any]:
    return {
        "first": row.first._asdict(),
        "second": row.second._asdict(),
        **row.difference._asdict(),
        "p_corrected": row.p,
        "words": said(row, LEVEL),
    }


def _plain_removed(removed: Removed) -> dict[str, Any]:
    return removed._asdict() | {
        "base": removed.base._asdict(),
        "other": removed.other._asdict(),
        "difference": removed.difference._asdict(),
    }


def _plain_fall(fall: Fall) -> dict[str, Any]:
    return fall._asdict() | {"difference": fall.difference._asdict()}
