"""How every entry point starts, stops and fails: settings are checked whole before any work, and the exit code says
what happened.

This file decides exit codes (0 done, 1 failed, 2 bad input, 130 and 143 stopped by a signal), what a failure shows, and
that Hydra writes nothing of its own. It does not know what the entry points do. Importing it is cheap: Hydra comes with
`run`, and torch only with what the settings name.
"""

import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlmreason.launch_objects import instantiate, refused
from dlmreason.launch_process import Interrupted, deferred, locked, provenance, stopping
from dlmreason.launch_rules import RULES, BadInput, Rule, Settings

if TYPE_CHECKING:
    from dlmreason.launch_config import Check, Command, Tree

__all__ = [
    "RULES", "BadInput", "Interrupted", "Rule", "Settings",
    "deferred", "instantiate", "locked", "provenance", "refused", "run", "say",
]  # fmt: skip

Main = Callable[[Settings], int | None]
"""An entry point's work: handed checked settings, it gives an exit code; None is 0."""


def run(
    main: Main,
    config_name: str,
    *,
    rules: Mapping[str, Rule] = RULES,
    checks: "Sequence[Check]" = (),
    argv: Sequence[str] | None = None,
    conf: Path | None = None,
) -> int:
    """The exit code of `main`, called with the settings that the command line makes of conf/<config_name>.yaml.

    rules: what each key may hold.  checks: what must hold between keys.  argv: the arguments, those of the process by
    default.
    conf: the folder of config files, that of the checkout by default.
    With -m `main` is called once per combination, every one of them checked before the first; --help, --cfg and Hydra's
    other options work as they do everywhere.
    """

    def work() -> int:
        from dlmreason.launch_config import Tree, call_hydra, read_command, unusable

        command = read_command(sys.argv[1:] if argv is None else argv)
        tree = Tree(conf or conf_folder(), command.read.config_name or config_name, command.read.config_dir)
        count = 0 if command.completes else _check(command, tree, rules, checks)
        codes: list[int] = []
        here = os.getpid()

        def job(settings: Settings) -> None:
            if command.sweep:
                say(f"job {len(codes) + 1} of {count}: {settings.get('output', '')}")

            def checked() -> int:
                _refuse(list(unusable(settings, rules, checks)))  # a sweeper may have drawn what was not seen before
                return main(settings) or 0

            codes.append(_exit_code(checked))
            if codes[-1] and os.getpid() != here:  # a launcher's job, whose codes nobody here will see
                raise RuntimeError(f"this job of the sweep ended with exit code {codes[-1]}; its log says why")

        call_hydra(command, tree, job)
        return next((code for code in codes if code), 0)

    try:
        with stopping():
            return _exit_code(work)
    except Interrupted as stop:
        say("interrupted; run the same command again to go on")
        return stop.code
    except KeyboardInterrupt:  # a library put its own handler in place of ours
        say("interrupted; run the same command again to go on")
        return 130


def conf_folder() -> Path:
    """The config files of this checkout.

    Raises: BadInput when the package was installed without its checkout.
    """
    folder = Path(__file__).resolve().parent.parent / "conf"
    if folder.is_dir():
        return folder
    raise BadInput(
        f"there are no config files at {folder}: they are part of the repository, not of the installed package; "
        "clone it and install it in place with `make setup` or `pip install -e .`"
    )


def _check(command: "Command", tree: "Tree", rules: Mapping[str, Rule], checks: "Sequence[Check]") -> int:
    """How many jobs the command line makes, all of them found good.

    Raises: BadInput with everything that is wrong with any of them.
    """
    problems: dict[str, None] = {}  # ordered, each message once
    outputs: dict[str, int] = {}
    jobs = tree.jobs(command)
    with tree.open():
        for number, overrides in enumerate(jobs, 1):
            try:
                settings = tree.settings(overrides, rules, checks)
            except BadInput as error:
                problems.update(dict.fromkeys(error.problems))
                continue
            output = settings.get("output")
            if output is not None and outputs.setdefault(output, number) != number:
                message = (
                    f"output={output}: jobs {outputs[output]} and {number} of this sweep would both write there; "
                    "put what differs into the name, for example 'name=sweep-${seed}'"
                )
                problems[message] = None
    _refuse(list(problems))
    return len(jobs)


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise BadInput(*problems)


def _exit_code(work: Callable[[], int]) -> int:
    """What `work` gives, or the exit code of its failure, which is shown: our own words for a person's mistake or the
    machine's, a traceback for ours."""
    try:
        return work()
    except BadInput as error:
        return _failed(error, 2)
    except OSError as error:
        return _failed(error, 1)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except Exception:
        traceback.print_exc()
        return 1


def _failed(error: Exception, code: int) -> int:
    say(f"error: {error}")
    if os.environ.get("DLMREASON_DEBUG") == "1":
        traceback.print_exception(error)
    return code


def say(line: str) -> None:
    """One line for a person, on standard error: standard output is for results."""
    print(line, file=sys.stderr, flush=True)
