"""The parts of `report.html` that need no script: verdict, tables, what was run.

This file decides what each section says. Every text that comes from outside goes through `escape`.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from dlmreason.analysis import words
from dlmreason.analysis.records import Timing
from dlmreason.reports import tables
from dlmreason.reports.markup import NONE, fold, section, table

Summary = Mapping[str, Any]
FINDINGS = 5
"""Sentences below the first that are shown at once."""


def verdict(summary: Summary | None) -> str:
    """The first sentence large, the others below it."""
    if summary is None:
        return '<p class="lead">There is no result yet.</p>'
    if not summary["sentences"]:
        return '<p class="lead">One arm at one budget: there is nothing to compare yet.</p>'
    first, *others = summary["sentences"]
    found = f'<p class="lead">{escape(first)}</p>\n{_findings(others[:FINDINGS])}'
    more = others[FINDINGS:]
    return found + (fold(f"{len(more)} more findings", _findings(more)) if more else "")


def _findings(sentences: Sequence[str]) -> str:
    return f'<ul class="findings">{"".join(f"<li>{escape(each)}</li>" for each in sentences)}</ul>'


def problems(found: Sequence[str]) -> str:
    if not found:
        return ""
    rows = "".join(f"<li>{escape(each)}</li>" for each in found)
    title = "<strong>Not everything could be read.</strong> The rest is shown."
    return f'<div class="problems" role="status">{title}<ul>{rows}</ul></div>'


def tiles(summary: Summary | None) -> str:
    """The few numbers that the verdict rests on, each with its interval."""
    if summary is None:
        return ""
    found = []
    removed = summary.get("errors_removed")
    if removed and removed["share"] is not None:
        base, other = removed["base"], removed["other"]
        found.append(
            (
                f"of the {removed['base_errors']} errors of {base['arm']} at its best are gone with {other['arm']}",
                words.percent(removed["share"]),
                f"{words.percent_interval(removed['low'], removed['high'])}, "
                f"{base['rung']:,} against {other['rung']:,} passes",
            )
        )
    for each in (summary.get("family") or summary["comparisons"])[:2]:
        found.append(
            (
                f"{each['second']['arm']} against {each['first']['arm']} at {words.passes(each['second']['rung'])}",
                f"{100 * each['gain']:+.1f} points",
                f"[{100 * each['low']:+.1f}, {100 * each['high']:+.1f}], {words.p_value(each['p_corrected'])}",
            )
        )
    cells = "".join(
        f'<div class="tile"><dt>{escape(what)}</dt>'
        f'<dd class="big">{escape(value)}</dd><dd class="ci">{escape(interval)}</dd></div>'
        for what, value, interval in found
    )
    return f'<dl class="tiles">{cells}</dl>' if cells else ""


def accuracy(summary: Summary) -> str:
    """The large figure and, folded, its numbers."""
    best = {winner["rung"]: {winner["arm"], *winner["tied"]} for winner in summary["winners"]}
    arms = list(summary["arms"])
    rows = [
        [f"{rung:,}", *(_accuracy(tables.at(summary, arm, rung), arm in best.get(rung, ())) for arm in arms)]
        for rung in tables.rungs(summary)
    ]
    note = (
        "Every arm on the same puzzles. A point is one budget; the band is its 95 % Wilson interval. "
        "A budget is a number of passes of the diffusion model, or whatever the same FLOPs buy an arm that makes none. "
        "Dashed: what the last canvas would have answered, "
        "where an arm keeps its best one."
    )
    title = "The numbers (★ the winner at a budget, or not to be told from it)"
    folded = fold(title, table(["budget", *arms], rows, "Accuracy of every arm at every budget"))
    face = "".join(
        f'<p class="face" role="note">{escape(summary[key])}.</p>'
        for key in ("still_learning", "no_common_axis")
        if summary.get(key)
    )
    fill = "" if summary.get("no_common_axis") else "accuracy"
    return section("accuracy", "Accuracy against compute", note, face + folded, fill=fill)


def _accuracy(point: Mapping[str, Any] | None, best: bool) -> str:
    if point is None:
        return f"<td>{NONE}</td>"
    interval = words.percent_interval(point["low"], point["high"])
    mark = ' class="best"' if best else ""
    spent = words.flops(point["flops"])
    return f"<td{mark}>{100 * point['accuracy']:.1f}<small>{interval}</small><small>{spent}</small></td>"


def winners(summary: Summary) -> str:
    rows = [
        [
            f"{each['rung']:,}",
            escape(each["arm"]),
            words.percent(each["accuracy"]),
            words.flops(each["flops"]),
            f'<td class="left wide">{escape(words.listed(each["tied"], "or")) or NONE}</td>',
        ]
        for each in summary["winners"]
    ]
    header = ["budget", "winner", "right", "spent", "not to be told from"]
    found = table(header, rows, "Winners and who ties with them", left=(1, 4))
    body = found if rows else "<p>No winner: that takes two arms with one budget in common, and a right answer.</p>"
    family = summary.get("family") or []
    if family:
        body += f"<h3>Declared before the run</h3>{differences(family, declared=True)}"
    if summary["comparisons"]:
        mind = summary["comparisons"][0]["second"]["arm"]
        kind = ", exploratory" if family else ""
        body += fold(f"{mind} against every other arm, paired{kind}", differences(summary["comparisons"]))
    note = "At equal budgets, on the same puzzles: an exact paired test for each pair of arms, Holm over all pairs."
    return section("winners", "Winner at each budget", note, body)


def differences(compared: Sequence[Mapping[str, Any]], declared: bool = False, label: str = "") -> str:
    """A row for each paired comparison; declared ones name both places, the others are all of one arm."""

    def named(each: Mapping[str, Any]) -> list[str]:
        first, second = each["first"], each["second"]
        if not declared:
            return [escape(first["arm"]), f"{second['rung']:,}"]
        return [escape(f"{second['arm']}@{second['rung']:,}"), escape(f"{first['arm']}@{first['rung']:,}")]

    rows = [
        [
            *named(each),
            f"{100 * each['gain']:+.1f}",
            f"[{100 * each['low']:+.1f}, {100 * each['high']:+.1f}]",
            escape(words.p_value(each["p_corrected"])),
            f"{each['only_second']:,} / {each['only_first']:,}",
        ]
        for each in compared
    ]
    header = ["it", "against"] if declared else ["against", "budget"]
    label = label or ("Declared differences" if declared else "Paired differences")
    return table([*header, "gain, points", "95 %", "p", "only it / only the other right"], rows, label, left=(1,))


def difficulty(summary: Summary) -> str:
    bins = summary["difficulty"]
    arms = dict.fromkeys(arm for row in bins for arm in row["arms"])
    rows = [[escape(arm), *(_range(row["arms"].get(arm)) for row in bins)] for arm in arms]
    note = "Each arm at its highest budget; higher numbers are harder. The bar is the 95 % interval from 0 to 100 %."
    header = ["arm", *(_span(row) for row in bins)]
    return section("difficulty", "By difficulty", note, table(header, rows, "Accuracy by difficulty"))


def _span(row: Mapping[str, Any]) -> str:
    span = f"{row['low']:,}" if row["low"] == row["high"] else f"{row['low']:,} to {row['high']:,}"
    return f"{span}, n = {row['puzzles']:,}"


def _range(point: Mapping[str, Any] | None) -> str:
    """A share with its interval drawn below it."""
    if point is None:
        return NONE
    low, high, at = (2 + 80 * point[name] for name in ("low", "high", "accuracy"))
    return (
        f"{100 * point['accuracy']:.1f}"
        '<svg class="range" width="84" height="10" aria-hidden="true"><line class="rail" x1="2" x2="82" y1="5" y2="5"/>'
        f'<line class="bar" x1="{low:.1f}" x2="{high:.1f}" y1="5" y2="5" stroke-width="2" stroke-opacity=".45"/>'
        f'<circle class="dot" cx="{at:.1f}" cy="5" r="3"/></svg>'
    )


def mind(summary: Summary) -> str:
    rows = []
    for arm, ladder in summary["revisions"].items():
        top = ladder[-1]
        rows.append(
            [
                escape(arm),
                f"{top['rung']:,}",
                words.percent(top["triggered"]),
                f"{top['per_1000']['doubted']:,.0f}",
                f"{top['per_1000']['wrong_to_right']:,.0f}",
                f"{top['per_1000']['right_to_wrong']:,.0f}",
                f"{top['per_1000']['lateral']:,.0f}",
                _share(top["precision"]),
                _share(top["harm"]),
                words.number(top["nfe"]),
                words.percent(top["alive"]),
            ]
        )
    header = [
        "arm",
        "budget",
        "revised",
        "doubted",
        "set right",
        "set wrong",
        "changed",
        "precision",
        "harm",
        "passes made",
        "alive",
    ]
    note = (
        "Revised: the share of puzzles in which it took a committed token back or changed one. "
        "Then tokens that were committed and changed, per 1,000 passes, counted against the known answer. "
        "Precision is the share of them that set a wrong token right, harm the share that set a right one wrong. "
        "A row is alive until more passes would change nothing."
    )
    return section(
        "mind", "Changing one's mind", note, table(header, rows, "Changes of mind at the highest budget"), fill="mind"
    )


def _share(value: float | None) -> str:
    return NONE if value is None else words.percent(value)


def player(missing: Sequence[str]) -> str:
    note = "Puzzles chosen by rule, not by eye. Space plays, left and right step, n and p jump between changes of mind."
    if missing:
        note += f" No puzzle was {words.listed(missing, 'or')} in this run."
    return section("player", "Watch it deliberate", note, "", fill="player")


def training() -> str:
    return section("training", "Training", "Loss over updates.", "", fill="training")


def what_was_run(run: Any, config: str, timings: Sequence[Timing], data: Any = None, keys: Any = None) -> str:
    """run: content of run.json.  data: what each model's task said of its data.  keys: the run keys of each arm."""
    body = tree(run) if run else "<p>No run.json: nothing is known of the commit, the machine and the command.</p>"
    if data:
        body += fold("Data of each model", tree(data))
    if keys:
        body += fold("Run keys: of data, weights and settings of each arm", tree(keys))
    if timings:
        rows = [
            [
                escape(each.arm),
                "all" if each.rung is None else f"{each.rung:,}",
                f"{each.seconds:,.1f}",
                f"{each.rows:,}",
                f"{each.batch:,}",
                f"{each.passes:,}",
                NONE if each.peak_bytes is None else f"{each.peak_bytes / 2**20:,.0f}",
                escape(each.device),
                f"{each.threads}",
            ]
            for each in timings
        ]
        header = ["arm", "budget", "seconds", "rows", "batch", "passes", "peak MiB", "device", "threads"]
        body += fold("Time and memory", table(header, rows, "Seconds and memory of the run"))
    if config:
        body += fold(
            "Configuration", f'<pre tabindex="0" role="region" aria-label="config.yaml">{escape(config)}</pre>'
        )
    return section("run", "What was run", "", body)


def tree(value: Any) -> str:
    """Nested plain data as definition lists."""
    if isinstance(value, Mapping) and value:
        return '<dl class="run">' + "".join(_entries(value)) + "</dl>"
    if isinstance(value, list | tuple) and value and all(isinstance(each, Mapping) for each in value):
        return "".join(tree(each) for each in value)
    if isinstance(value, list | tuple):
        return escape(", ".join(str(each) for each in value)) or NONE
    return NONE if value is None or value == {} else escape(str(value))


def _entries(value: Mapping[Any, Any]) -> Iterator[str]:
    for key, each in value.items():
        yield f"<dt>{escape(str(key))}</dt><dd>{tree(each)}</dd>"
