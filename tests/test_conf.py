"""Every file of conf is composed and built: what a person may choose exists, fits its target, and fits the rest.

A group without a builder here fails the first test, and a file that its target does not take fails its own.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from dlmreason import assembly, assembly_arms, detecting, launch, tuning
from dlmreason.compute.flops import pair_flops, pass_flops, read_out_flops
from dlmreason.compute.matching import MATCHED_BY, mismatch
from dlmreason.diffusion.carried import SelfConditioned
from dlmreason.diffusion.deep import DeeplySupervised
from dlmreason.diffusion.few_passes import FewPasses
from dlmreason.diffusion.fixed_point import FixedPoint
from dlmreason.diffusion.quality import Judging
from dlmreason.diffusion.rollouts import Rollouts
from dlmreason.launch_config import Tree
from dlmreason.measure import plan_of
from dlmreason.networks.transformer import Transformer
from dlmreason.reports.mirror import Mirror

CONF = launch.conf_folder()
FEW = ("task.train_examples=2", "task.validation_examples=2", "task.test_examples=2")
SMALL = ("network=tiny", "budget=tiny", "device=cpu", "threads=1", *FEW)

Settings = dict[str, Any]


@cache
def tree_of(primary: str) -> Tree:
    """One for all tests: a tree keeps what it has composed."""
    return Tree(CONF, primary)


def composed(*overrides: str, primary: str = "experiment") -> Settings:
    tree = tree_of(primary)
    with tree.open():
        return tree.settings(overrides, launch.RULES, ())


def build_task(option: str) -> None:
    inner = "task.task" if "task" in composed(f"task={option}")["task"] else "task"  # of a task around another
    few = (setting.replace("task", inner, 1) for setting in FEW)
    task = assembly.task_of(composed(f"task={option}", *few, *file_of(option)))
    for split in ("train", "validation", "test"):
        example = task.examples(split)[0]
        assert task.verify(example, example.answer).correct
        sheet = task.sheet(example, in_place=task.in_place, thought=False)
        assert len(sheet.tokens) <= task.length(in_place=task.in_place, thought=False)
    assert task.symmetries.leakage or task.symmetries.augmentation, "what is one problem, and what is another, is said"
    assert task.prompt_length < task.length(in_place=False, thought=False)
    assert all(isinstance(value, str | int) for value in task.provenance.values())


def file_of(option: str) -> tuple[str, ...]:
    """What a task that cannot draw reads: a few rows of its form."""
    if option not in ("gsm8k", "gsm8k_equations", "jsonl"):
        return ()
    return (f"task.train_file={Path(__file__).with_name('rows.jsonl')}", "task.file=null")


def build_models(settings: Settings) -> dict[str, assembly.Model]:
    models = assembly.models_of(settings, assembly.task_of(settings))
    assert all(model.updates >= 1 and model.flops() > 0 for model in models.values())
    return models


def build_network(option: str) -> None:
    for model in build_models(composed("experiment=demo", f"network={option}", *FEW)).values():
        assert Transformer(model.shape).num_parameters > 0


def build_objective(option: str) -> None:
    model = "answer" if option.startswith("next_token") else "diffusion"
    settings = composed("experiment=demo", f"objective@models.{model}.objective={option}", *SMALL)
    taken, standard = (build_models(each)[model] for each in (settings, composed("experiment=demo", *SMALL)))
    assert (taken.key == standard.key) == (option in ("masked", "next_token"))


AUTOREGRESSIVE = ("answer", "next_token_judged", "own_chains")


def build_quality_target(option: str) -> None:
    """One option selects what the head is asked; a preset of the same name is no more than that."""

    # Chains are of a network that writes token after token.
    name, preset, usual = ("diffusion", "judged", "own_errors") if option != "own_chains" else AUTOREGRESSIVE

    def trained(*overrides: str) -> assembly.Model:
        return build_models(composed("experiment=demo", *overrides, *SMALL))[name]

    place = f"models.{name}.objective"
    model = trained(f"objective@{place}={preset}", f"quality_target@{place}={option}")
    judging = model.objective.at(model.updates - 1, model.updates)  # type: ignore[union-attr]
    assert isinstance(judging, Judging) and model.taught.quality
    file = read(f"quality_target/{option}")
    if "target" in file:  # else it is another's
        assert judging.target == launch.instantiate(file["target"], "target") and judging.weight == file["weight"]
    if option in TREE.options("objective"):
        assert trained(f"objective@{place}={option}").key == model.key
    assert (trained(f"objective@{place}={preset}").key == model.key) == (option == usual)


def build_corruption(option: str) -> None:
    config = read(f"corruption/{option}")
    assert launch.instantiate(config, "corruption") is not None


def build_policy(option: str) -> None:
    taught = assembly.Taught(quality=True, masks=True, emits_mask=True, noise="leave_one_out", carry=True)
    policy = assembly_arms.policy_of(composed(f"policy={option}", *SMALL)["policy"], "policy", (), taught)
    assert isinstance(policy.anytime, bool)


def build_arm(option: str) -> None:
    in_blocks = option == "bd3"
    taught = ("objective@models.diffusion.objective=block_diffusion",) if in_blocks else ()
    settings = composed("experiment=demo", f"+arm@arms.extra={option}", *taught, *SMALL)
    arm = settings["arms"]["extra"]
    if in_blocks:  # the others write anywhere
        settings["arms"] = {"extra": arm, "kept": arm | {"block_cache": True}}
    own = {"rules", "decoding" if "decoding" in arm else "temperature"}
    extra = {"policy"} if arm["kind"] == "diffusion" else own
    assert arm.keys() - {"oracle", "block_cache"} == {"kind", "model", "passes"} | extra
    build_arms(settings)


def build_decoding(option: str) -> None:
    """In place of what an arm would decode by, over the same model."""
    settings = composed("experiment=demo", "+arm@arms.extra=forced", f"decoding@arms.extra.decoding={option}", *SMALL)
    settings["arms"] = {"extra": settings["arms"]["extra"]}
    build_arms(settings)


def build_arms(settings: Settings) -> None:
    """All arms, over networks with the weights they are born with."""
    task, models, policies = assembly.task_of(settings), build_models(settings), assembly_arms.policies_of(settings)
    trained = {
        name: assembly.Trained(
            name, model.kind, model.thought, Transformer(model.shape), name, {}, model.taught, model.own_task
        )
        for name, model in models.items()
    }
    device = assembly.device_of(settings)
    for name in settings["arms"]:
        arm = assembly_arms.arm_of(name, settings, task, trained, policies[name], device)
        assert arm.variants
        assert len(assembly_arms.run_key(assembly_arms.run_parts(name, settings, task, trained, device))) == 16


def build_model(option: str) -> None:
    settings = composed(f"model={option}", "model.updates=3", "network=tiny", *FEW, primary="train")
    model = settings["model"]
    keys = {"kind", "thought", "quality", "updates", "flops", "match", "match_by", "objective", "task", "network"}
    assert model.keys() - {"prompt_cache"} == keys
    assert build_models(settings | {"models": {"it": model}})["it"].updates == 3


def build_budget(option: str) -> None:
    settings = composed("experiment=demo", f"budget={option}")
    unruled = [key for key in settings["budget"] if f"budget.{key}" not in launch.RULES]
    assert unruled == []
    for arm in settings["arms"]:
        assert assembly_arms.ladder_of(settings, arm)[-1] == settings["budget"]["passes"]


def build_logger(option: str) -> None:
    logger = composed(f"logger={option}")["logger"]
    assert logger.keys() == {"mode", "project", "group", "tags"}
    Mirror(**logger | {"mode": "disabled"})


def build_trainer(option: str) -> None:
    assert assembly.trainer_of(composed(f"trainer={option}")).batch_size >= 1


def build_experiment(option: str) -> None:
    settings = composed(f"experiment={option}", *SMALL)
    assert settings["name"] == option
    assert settings["primary"] in (None, *settings["arms"])
    if settings["measure"]:
        torch.set_num_threads(settings["threads"])
        assert not settings["models"] and len(plan_of(settings).works(torch.device("cpu"))) > 20
    else:
        build_arms(settings)
        task = assembly.task_of(settings)
        detecting.check(settings, task, build_models(settings), {"all": list(task.examples("test"))})


BUILD: dict[str, Callable[[str], None]] = {
    name.removeprefix("build_"): build
    for name, build in list(globals().items())
    if name.startswith("build_") and name not in ("build_models", "build_arms")
}


TREE = Tree(CONF, "experiment")
OPTIONS = [(group, option) for group in TREE.groups() for option in TREE.options(group)]


def read(path: str) -> Settings:
    import yaml

    content = yaml.safe_load((CONF / f"{path}.yaml").read_text())
    return dict(content)


def test_every_group_has_a_builder() -> None:
    assert set(TREE.groups()) == set(BUILD)


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=map("=".join, OPTIONS))
def test_an_option_is_built(group: str, option: str) -> None:
    BUILD[group](option)


CARRYING = {"annealed_episodes", "noisy_episodes", "forgetful_episodes", "forgetful", "carry_only"}
"""Policies made for a network that carries, though not each of them needs it."""


def test_every_policy_is_compared() -> None:
    """But the one for answers in blocks, which no Sudoku network is taught, and those made for one that carries."""
    settings = composed("experiment=policies_compared", *SMALL)
    names = [arm["policy"]["name"] for arm in settings["arms"].values()]
    assert set(names) == set(TREE.options("policy")) - {"bd3", *CARRYING}
    assert {arm["model"] for arm in settings["arms"].values()} == set(settings["models"])


def test_an_arm_may_have_passes_of_its_own_and_its_records_stay_those_of_the_same_run() -> None:
    settings = composed("experiment=policies_compared", *FEW)
    ladders = {name: assembly_arms.ladder_of(settings, name) for name in settings["arms"]}
    assert ladders["confidence"] == (1, 4, 16, 64, 256)
    assert ladders["change_of_mind"] == (1, 4, 16, 64, 256, 1024)

    task = assembly.task_of(settings)
    model = build_models(settings)["masked"]
    trained = {"masked": assembly.Trained("masked", model.kind, False, Transformer(model.shape), "", {}, model.taught)}

    def key(**more: Any) -> str:
        arm = {name: value for name, value in settings["arms"]["change_of_mind"].items() if name != "passes"}
        arms = {"change_of_mind": arm | more}
        given = settings | {"arms": arms}
        return assembly_arms.run_key(
            assembly_arms.run_parts("change_of_mind", given, task, trained, torch.device("cpu"))
        )

    assert key() == key(passes=1024) != key(policy=settings["arms"]["restarts"]["policy"])


def targets(content: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where in a config file a `_target_` lies."""
    if isinstance(content, dict):
        if "_target_" in content:
            yield path
        for name, part in content.items():
            yield from targets(part, (*path, name))


@pytest.mark.parametrize(
    ("file", "place"),
    [
        pytest.param(file, place, id="/".join([file, *place]))
        for file in sorted(str(path.relative_to(CONF).with_suffix("")) for path in CONF.glob("*/*.yaml"))
        for place in targets(read(file))
    ],
)
def test_a_key_that_the_target_does_not_take_is_refused(file: str, place: tuple[str, ...]) -> None:
    content = {name: part for name, part in read(file).items() if name not in ("defaults", "name")}
    inner = content
    for name in place:
        inner = inner[name]
    inner["nonsense"] = 1
    with pytest.raises(launch.BadInput, match=r"nonsense: no such argument"):
        launch.instantiate(content, "it")


WITHOUT = ("reasoning_gym", "correcting", "sudoku6x6_wait", "boolean_wait")


@pytest.mark.parametrize("option", [option for option in TREE.options("task") if option not in WITHOUT])
def test_any_task_with_thoughts_can_correct_itself(option: str) -> None:
    """By an override alone."""
    inner = [setting.replace("task", "task.task", 1) for setting in (*FEW, *file_of(option))]
    task = assembly.task_of(composed("task=correcting", f"task@task.task={option}", *inner))
    assert task.name.endswith("_wait") and task.vocabulary(True).wait_id is not None


def test_a_task_without_thoughts_cannot_correct_itself() -> None:
    settings = composed("task=correcting", "task@task.task=running_sum", "task.task.subject.all_sums=true")
    with pytest.raises(launch.BadInput, match=r"^task\.task: only thoughts can correct themselves"):
        assembly.task_of(settings)


def test_a_key_that_a_network_does_not_take_is_refused() -> None:
    with pytest.raises(launch.BadInput, match=r"network\.nonsense: no such argument"):
        build_models(composed("experiment=demo", *SMALL, "+network.nonsense=1"))


def test_blocks_of_the_objective_are_those_of_the_network_and_its_training_is_charged_both_copies() -> None:
    chosen = ("objective@models.diffusion.objective=block_diffusion", "models.diffusion.objective.block=3")
    models = build_models(composed("experiment=demo", *SMALL, *chosen))
    made = models["diffusion"]
    assert (made.shape.attention, made.shape.block, made.taught.block) == ("block_causal", 3, 3)
    rows = made.updates * made.trainer.batch_size
    assert made.flops() == 3 * rows * pair_flops(made.shape, made.length)
    others = [model for name, model in models.items() if name != "diffusion"]
    assert all((model.shape.block, model.taught.block) == (0, 0) for model in others)


@pytest.mark.parametrize("by", MATCHED_BY)
def test_a_training_is_matched_by_what_the_claim_says(by: str) -> None:
    models = build_models(composed("experiment=demo", *SMALL, f"models.thought.match_by={by}"))
    diffusion, thought = models["diffusion"].training, models["thought"].training
    one = getattr(thought, by) / thought.updates
    assert abs(getattr(thought, by) - getattr(diffusion, by)) <= one / 2
    assert by == "flops" or mismatch(thought.flops, diffusion.flops) > 0.02  # else the three would say the same
    same = build_models(composed("experiment=demo", *SMALL, f"models.thought.updates={thought.updates}"))["thought"]
    assert same.key == models["thought"].key, "what is trained counts, and not why"


def test_settings_from_before_trainings_were_matched_by_anything_but_flops_are_the_same() -> None:
    settings = composed("experiment=demo", *SMALL)
    before = {
        name: {key: model[key] for key in model if key != "match_by"} for name, model in settings["models"].items()
    }
    keys = [
        {name: model.key for name, model in build_models(settings | {"models": each}).items()}
        for each in (before, settings["models"])
    ]
    assert keys[0] == keys[1]


def test_two_ways_to_say_how_long_a_model_is_trained_are_refused() -> None:
    settings = composed("experiment=demo", *SMALL, "models.thought.flops=1e9", "models.thought.match_by=updates")
    with pytest.raises(launch.BadInput, match=r"models\.thought\.match_by=updates and models\.thought\.flops=1e\+09"):
        build_models(settings)
    with pytest.raises(launch.BadInput, match="one of flops, examples, updates"):
        composed("experiment=demo", "models.thought.match_by=steps")


def test_stages_of_different_blocks_are_refused() -> None:
    blocks = {"_target_": "dlmreason.diffusion.blocks.BlockDiffusion", "block": 3}
    masked = {"_target_": "dlmreason.diffusion.objectives.MaskedDiffusion"}
    settings = composed("experiment=demo", *SMALL)
    staged = {"_target_": "dlmreason.diffusion.objectives.Staged", "stages": [[0.5, blocks], [0.5, masked]]}
    settings["models"]["diffusion"]["objective"] = staged
    for build in (build_models, assembly_arms.policies_of):
        with pytest.raises(launch.BadInput, match=r"models\.diffusion\.objective: its stages teach blocks of 0 and 3"):
            build(settings)


def test_a_network_carries_where_its_objective_teaches_it_to() -> None:
    settings = composed("experiment=demo", "objective@models.diffusion.objective=self_conditioned", *SMALL)
    models, plain = build_models(settings), build_models(composed("experiment=demo", *SMALL))
    assert [(name, model.shape.carry, model.taught.carry) for name, model in models.items()] == [
        (name, name == "diffusion", name == "diffusion") for name in plain
    ]
    assert models["diffusion"].flops() > plain["diffusion"].flops()
    assert models["diffusion"].key != plain["diffusion"].key and models["answer"].key != plain["answer"].key
    build_arms(settings)
    never = composed(
        "experiment=demo",
        "objective@models.diffusion.objective=self_conditioned",
        "models.diffusion.objective.chance=0",
        *SMALL,
    )
    assert not build_models(never)["diffusion"].shape.carry
    with pytest.raises(launch.BadInput, match="teaches to restore noised texts"):
        build_models(composed("experiment=demo", "objective@models.answer.objective=self_conditioned", *SMALL))


def test_rollouts_come_after_self_conditioning_and_are_charged_each_pass() -> None:
    place = "models.diffusion.objective"
    chosen = (f"objective@{place}=annealed_rollouts", "models.diffusion.updates=100", *SMALL)
    model = build_models(composed("experiment=demo", *chosen))["diffusion"]
    assert model.shape.carry and model.taught.carry and model.taught.quality and model.taught.masks
    before, rollouts = model.objective.at(0, 100), model.objective.at(99, 100)  # type: ignore[union-attr]
    assert isinstance(before, SelfConditioned) and isinstance(rollouts, Rollouts)
    assert rollouts.forwards == (5, 1), "four passes and the head's, which first asks for its own errors"
    forwards = 30 * (3 + 1) + 20 * (3 * 2 + 4) + 50 * (3 * 5 + 1)
    assert model.flops() == forwards * model.trainer.batch_size * pass_flops(model.shape, model.length)
    for setting in ("window=2.5", "lengths=[4,0]"):
        with pytest.raises(launch.BadInput, match=rf"objective\.{setting.partition('=')[0]}="):
            composed("experiment=demo", *chosen, f"{place}.{setting}")


def test_rolls_come_after_self_conditioning_and_rollouts_may_come_after_rolls() -> None:
    place = "models.diffusion.objective"
    chosen = (f"objective@{place}=fixed_point", "models.diffusion.updates=100", *SMALL)
    model = build_models(composed("experiment=demo", *chosen))["diffusion"]
    assert model.shape.carry and model.taught.carry and model.taught.quality and model.taught.masks
    before, rolls = model.objective.at(0, 100), model.objective.at(99, 100)  # type: ignore[union-attr]
    assert isinstance(before, SelfConditioned) and isinstance(rolls, FixedPoint)
    forwards = 30 * (3 + 1) + 20 * (3 * 2 + 4) + 50 * (3 * 2 + 1 + 16 / 2 * 3)
    assert model.flops() == forwards * model.trainer.batch_size * pass_flops(model.shape, model.length)
    chosen = (f"objective@{place}=annealed_rollouts", f"objective@{place}.first=fixed_point")
    stages = build_models(composed("experiment=demo", *chosen, *SMALL))["diffusion"].objective.stages  # type: ignore[union-attr]
    assert [type(stage) for _, stage in stages] == [SelfConditioned, SelfConditioned, FixedPoint, Rollouts]


def test_few_passes_come_after_masked_keep_its_head_and_are_charged_the_teacher() -> None:
    place = "models.diffusion.objective"
    chosen = (f"objective@{place}=few_passes", "models.diffusion.updates=100", *SMALL)
    model = build_models(composed("experiment=demo", *chosen))["diffusion"]
    assert model.taught.quality and model.taught.masks and not model.taught.carry
    judging = model.objective.at(99, 100)  # type: ignore[union-attr]
    assert isinstance(judging, Judging) and isinstance(judging.inner, FewPasses) and judging.inner.passes == 8
    forwards = 42 * 3 + 28 * (3 * 2 + 1) + 30 * (3 * 2 + 7 + 1)
    assert model.flops() == forwards * model.trainer.batch_size * pass_flops(model.shape, model.length)


def test_loops_are_of_both_arms_and_a_network_without_keeps_its_key() -> None:
    settings = composed("experiment=demo", *SMALL)
    sizes = {name: size for name, size in settings["network"].items() if name != "loops"}
    before, after, looped = (
        build_models(settings | {"network": network}) for network in (sizes, sizes | {"loops": 1}, sizes | {"loops": 3})
    )
    assert settings["network"] == sizes | {"loops": 1}
    assert [each.key for each in before.values()] == [each.key for each in after.values()]
    assert all(each.shape.loops == 3 and each.key != before[name].key for name, each in looped.items())
    assert 2 < looped["diffusion"].flops() / before["diffusion"].flops() < 3, "heads are paid for once"
    with pytest.raises(launch.BadInput, match=r"network\.loops=0"):
        composed("experiment=demo", "network.loops=0", *SMALL)


def test_loops_that_are_read_out_are_charged_and_either_arm_may_be() -> None:
    """Each loop's heads in every trained pass; with one loop there is nothing more, whatever the objective."""
    place = "models.diffusion.objective"
    deep = (f"objective@{place}=deeply_supervised", "models.diffusion.updates=100")
    for loops in (1, 3):
        settings = composed("experiment=demo", *deep, f"network.loops={loops}", *SMALL)
        model = build_models(settings)["diffusion"]
        trained, untrained = 60 * 1 + 40 * 2, 40 * 1
        forwards = (3 * trained + untrained) * pass_flops(model.shape, model.length)
        read = 3 * trained * read_out_flops(model.shape, model.length)
        assert model.flops() == (forwards + read) * model.trainer.batch_size
        assert model.taught.quality and model.taught.masks and (read > 0) == (loops > 1)
    own = "objective@models.answer.objective=deeply_supervised"
    answer = build_models(
        composed("experiment=demo", own, "objective@models.answer.objective.inner=next_token", *SMALL)
    )
    assert isinstance(answer["answer"].objective.at(0, 10), DeeplySupervised)  # type: ignore[union-attr]


def test_an_older_checkpoint_was_taught_no_carry() -> None:
    assert not assembly.Taught(quality=True, masks=True).carry


def test_a_network_has_an_output_for_the_mask_where_its_objective_says_it() -> None:
    place = "objective@models.diffusion.objective"
    for objective, more in (("masked", 0), ("prism", 0), ("reflective", 1)):
        settings = composed("experiment=demo", f"{place}={objective}", *SMALL)
        model = build_models(settings)["diffusion"]
        assert model.shape.outputs == model.shape.vocabulary_size - 1 + more
        assert model.taught.emits_mask == bool(more)
        reflects = settings["arms"]["confidence"] | {"policy": composed("policy=reflecting", *SMALL)["policy"]}
        settings["arms"] = {"reflecting": reflects}
        if more:
            build_arms(settings | {"models": {"diffusion": settings["models"]["diffusion"]}})
        else:
            with pytest.raises(launch.BadInput, match=r"arms\.reflecting\.policy: .*can emit the mask"):
                assembly_arms.policies_of(settings)


@pytest.mark.parametrize("policy", ["change_of_mind", "random_doubt", "restarts"])
def test_a_policy_that_reads_quality_is_refused_without_the_head(policy: str) -> None:
    settings = composed("experiment=demo", *SMALL, "models.diffusion.quality=false")
    only = {name: arm for name, arm in settings["arms"].items() if name == policy}
    with pytest.raises(launch.BadInput, match=rf"arms\.{policy}\.policy: .*quality"):
        assembly_arms.policies_of(settings | {"arms": only})


@pytest.mark.parametrize(
    ("primary", "given"),
    [
        ("experiment", ()),
        ("tune", ()),
        ("train", ()),
        ("evaluate", ("checkpoint=somewhere",)),
        ("report", ()),
        ("solve", ("puzzle=0120",)),
        ("compare_page", ("from=[outputs/a]",)),
        ("claims", ()),
    ],
)
def test_an_entry_point_says_where_it_writes_and_what_it_trusts(primary: str, given: tuple[str, ...]) -> None:
    settings = composed(*given, primary=primary)
    assert settings["trusted"] == []
    if primary in ("compare_page", "claims"):
        assert settings["to"].startswith("outputs/")
    elif primary != "solve":
        assert settings["output"] == f"outputs/{settings['name']}"


def test_every_experiment_says_what_it_is_in_its_first_line_of_comment() -> None:
    """`make experiments` lists that line."""
    for path in sorted(Path(CONF / "experiment").glob("*.yaml")):
        package, said = path.read_text().splitlines()[:2]
        assert package == "# @package _global_"
        assert said.startswith("# ") and len(said) > 20


def test_every_task_says_what_it_is_in_its_first_line() -> None:
    """`make tasks` shows that line."""
    for path in sorted(Path(CONF / "task").glob("*.yaml")):
        said = path.read_text().splitlines()[0]
        assert said.startswith("# ") and len(said) > 20, path


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "experiment"])
def test_a_search_space_fits_the_arms_of_its_experiment_and_each_of_its_ends_is_built(option: str) -> None:
    settings = composed(f"experiment={option}", *SMALL, primary="tune")
    assert settings["budget"]["split"] == "validation" and settings["tuning"]["trials"] >= 8
    if not settings["tuning"]["space"]:
        return
    for arm, space in tuning.spaces_of(settings).items():
        for end in (0, space.size - 1):
            build_arms(tuning.with_choice(settings, arm, space.point(end)))
