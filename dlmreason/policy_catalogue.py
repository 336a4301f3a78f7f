"""Every policy that can be chosen, as a table made from the code: `python -m dlmreason.policy_catalogue`, or
`make policies`.

This file decides what a person sees of a policy before choosing it. What stands in a cell is what the policy itself
declares, or the words at the head of its config and in its docstring, so that the table cannot say anything else.
`docs/policies.md` is its output, and a test holds the two together.
"""

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from dlmreason import launch
from dlmreason.launch_config import Tree

HEAD = """# Policies

What may happen to the canvas, one line a choice of `policy=`; made by `make policies` from the code and `conf/policy/`.

One pass is one call of the network for one row; where a policy draws ahead when something happens, a pass without an
event costs none. *Revises*: may take back or rewrite a committed token. *Anytime*: one trajectory serves every budget;
the others plan for their total and walk once for each rung. A policy that needs what the network or the task does not
have is refused before any compute.
"""
COLUMNS = ("policy", "what it does", "source", "revises", "needs", "anytime", "calls", "deviation from the source")

_SOURCE = re.compile(r"\s*[\[(]([^\[\]()]*(?:arXiv:|design of this project)[^\[\]()]*)[\])]")


class Row(NamedTuple):
    policy: str
    about: str
    source: str
    revises: str
    needs: str
    anytime: str
    calls: str
    deviation: str


@cache
def rows() -> tuple[Row, ...]:
    """A row for each file of conf/policy."""
    return tuple(_rows())


def _rows() -> Iterator[Row]:
    from dlmreason import assembly, assembly_arms
    from dlmreason.policies.facts import facts_of

    tree = Tree(launch.conf_folder(), "experiment")
    for option in tree.options("policy"):
        with tree.open():
            settings = tree.settings([f"policy={option}"], launch.RULES, ())
        config = settings["policy"]
        taught = assembly.Taught(quality=True, masks=True, emits_mask=True, noise="leave_one_out", carry=True)
        policy = assembly_arms.policy_of(config, "policy", (), taught)
        facts = facts_of(policy)
        about, source = head(launch.conf_folder() / "policy" / f"{option}.yaml")
        needs = [f"{what} head" if what == "quality" else what.replace("_", " ") for what in sorted(facts.needs)]
        needs += ["schedule"] * ("schedule" in config)
        yield Row(
            option,
            about,
            source,
            "yes" if facts.revises else "no",
            ", ".join(needs),
            "yes" if policy.anytime else "no",
            "one an event" if "due" in facts.streams else "one a pass",
            deviation(config),
        )


def head(path: Path) -> tuple[str, str]:
    """What a config file says of itself in its first lines, and the source that it names there."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    text = " ".join(lines)
    sources = "; ".join(_SOURCE.findall(text))
    return _SOURCE.sub("", text).strip(), sources


def deviation(config: Mapping[str, Any]) -> str:
    """The paragraph of that name in the docstring of what the config builds, or ""."""
    target = launch.instantiate({"_target_": config["_target_"], "_partial_": True}, "policy").func
    paragraphs = (inspect.getdoc(target) or "").split("\n\n")
    found = [" ".join(each.split()) for each in paragraphs if each.startswith("Deviation:")]
    return " ".join(found).removeprefix("Deviation:").strip()


def table() -> str:
    """The whole page."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows()]
    return HEAD + "\n" + "\n".join(lines) + "\n"


def main() -> int:
    print(table(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
