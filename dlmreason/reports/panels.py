"""Sections of a page that hold where a run measured more than answers: how walks went, what scores meant, of what data.

This file decides what they say. Their figures are drawn by the scripts from the same numbers.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

from dlmreason.analysis import words
from dlmreason.reports.gather import Found
from dlmreason.reports.markup import NONE, fold, section, table
from dlmreason.reports.redaction import redact


def walked(found: Mapping[str, Mapping[str, Any]]) -> str:
    """found: as `analysis.walks` gives."""

    def passes(each: Mapping[str, Any], share: float) -> str:
        return f"{each['commits'][share]:,}" if share in each["commits"] else NONE

    rows = [
        [
            escape(arm),
            f"{each['rung']:,}",
            f"{each['n']:,}",
            *(passes(each, share) for share in (0.5, 0.9, 1.0)),
            words.percent(each["swung"]),
            words.percent(each["cycling"]),
            f'<td class="left wide">{escape(_ends(each["ended"]))}</td>',
        ]
        for arm, each in found.items()
    ]
    header = ["arm", "budget", "walks", "half stood by", "90 % stood by", "all stood by", "swung", "cycling", "ended"]
    note = (
        "From the counts of every pass. A token stands from the pass after which it changed no more; it swung if it "
        "was changed twice or more; a walk cycles if it comes back to where it was, again and again."
    )
    return section(
        "walks", "When it made up its mind", note, table(header, rows, "Commit passes and swings", (8,)), "walks"
    )


def _ends(ended: Mapping[str, float]) -> str:
    return ", ".join(f"{how} {words.percent(share)}" for how, share in ended.items())


def calibrated(found: Mapping[str, Mapping[str, Any]]) -> str:
    """found: by arm as `analysis.calibration` gives."""
    rows = [
        [
            escape(arm),
            f"{each['low_score']:.3f} to {each['high_score']:.3f}",
            f"{each['score']:.3f}",
            words.percent(each["accuracy"]),
            words.percent_interval(each["low"], each["high"]),
            f"{each['n']:,}",
        ]
        for arm, content in found.items()
        for each in content["bins"]
    ]
    header = ["arm", "score", "mean", "right", "95 %", "n"]
    note = (
        "Answers at the highest budget, by how they were scored, in bins of about as many each: on the diagonal a "
        "score is the share that is right. A vote's share and a text's probability speak of the whole answer; a "
        "quality is the mean over its tokens, and an answer of several tokens is right less often. Logarithms are "
        "shown as their exponential."
    )
    numbers = fold("The bins", table(header, rows, "Share right by score"))
    return section("calibration", "What a score means", note, numbers, fill="calibration")


def identity(found: Found) -> tuple[dict[str, Any], dict[str, str]]:
    """What the models' tasks said of their data, and the run keys of each arm."""
    data = {name: redact((each.get("task") or {}).get("provenance")) for name, each in found.models.items()}
    keys: dict[str, dict[str, None]] = {}
    for record in found.records:
        keys.setdefault(record.arm, {})[record.run_key] = None
    return data, {arm: ", ".join(each) for arm, each in keys.items()}
