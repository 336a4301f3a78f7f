"""What a policy needs and draws, declared so that an unsound onion is refused before any compute.

This file knows the words of the declaration, not the policies that make it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from dlmreason.canvas import Policy

Function = TypeVar("Function", bound=Callable[..., object])


NEEDS = {
    "quality": "with a quality head: train it with a quality objective, or choose a policy that needs none, such as "
    "confidence or ancestral",
    "carry": "that hands a state from pass to pass: train it with the objective self_conditioned, or choose a policy "
    "that needs none, such as annealed_episodes or restarts",
    "masks": "that was trained on canvases with masks, where this one has only seen text: train it with an objective "
    "whose noise has masks, such as masked, mgdm or gidd",
    "emits_mask": "that can emit the mask, which says of a token that it is wrong: train it with objective reflective, "
    "or choose a policy that finds out otherwise, such as change_of_mind",
    "noise": "that was trained on canvases with random tokens in them: train it with an objective of uniform noise, "
    "such as gidd or udlm, or choose a policy of masks, such as confidence or ancestral",
    "leave_one_out": "whose logits are leave-one-out, where this one's are a posterior: give the policy "
    "logits=posterior, as in its objective",
    "posterior": "whose logits are a posterior, where this one's are leave-one-out: give the policy "
    "logits=leave_one_out, as in its objective",
}
"""What a policy may ask of a network, and what to do where it has none."""


@dataclass(frozen=True)
class Facts:
    """streams: noise streams drawn in one pass.  needs: of NEEDS.  judged: its moves carry a score.

    block: it writes blocks of so many positions, counted from position 0, each when all before it is written, and reads
    nothing of those beyond; 0: anywhere. One that does and never revises leaves a finished block as it is. What is
    made of two is not said to keep to blocks, since one may ask of what the other left open.
    """

    streams: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    judged: bool = False
    revises: bool = False  # may take back or rewrite a committed token
    block: int = 0

    def __post_init__(self) -> None:
        twice = sorted({stream for stream in self.streams if self.streams.count(stream) > 1})
        if twice:
            raise ValueError(
                f"noise stream {twice[0]!r} is drawn twice in one pass, so two choices would share their randomness: "
                "give one of the two wrappers another `stream` if it takes one, or leave one out"
            )

    def __or__(self, other: "Facts") -> "Facts":
        """The facts of a policy that is one of two in any pass of a row, so that both may draw from one stream."""
        both = self + Facts(needs=other.needs, judged=other.judged, revises=other.revises)
        return both + Facts(streams=tuple(stream for stream in other.streams if stream not in self.streams))

    def __add__(self, other: "Facts") -> "Facts":
        """The facts of a policy made of two."""
        return Facts(
            self.streams + other.streams,
            self.needs | other.needs,
            self.judged or other.judged,
            self.revises or other.revises,
        )


class Declared(Policy, Protocol):
    """A policy that says what it needs. A user's policy may leave `facts` out: then nothing is checked."""

    @property
    def facts(self) -> Facts: ...


def needs(*what: str) -> Callable[[Function], Function]:
    """Mark a score function with what it reads, of NEEDS."""

    def mark(function: Function) -> Function:
        function.needs = frozenset(what)  # type: ignore[attr-defined]
        return function

    return mark


def needs_of(function: object) -> frozenset[str]:
    """What a score function was marked with."""
    return getattr(function, "needs", frozenset())


def facts_of(policy: Policy) -> Facts:
    """A policy's facts; a user's policy that declares none needs nothing that we could check."""
    return getattr(policy, "facts", Facts())


def require_judge(policy: Policy, wrapper: str) -> None:
    """Raises: ValueError where a wrapper that reads scores has no judge inside."""
    if not facts_of(policy).judged:
        raise ValueError(
            f"{wrapper} reads scores, but nothing inside it gives any: wrap the policy in Judged(policy, score) first"
        )


def require_anytime(policy: Policy, why: str) -> None:
    """why: what the wrapper does that costs the policy inside passes. Raises: ValueError where it plans for its
    total."""
    if not policy.anytime:
        raise ValueError(f"{why}, so a policy inside that counts passes would miss some: put it in Episodes")


def require_no_judge(policy: Policy, wrapper: str, why: str) -> None:
    """Raises: ValueError where a wrapper would spoil the scores given inside it."""
    if facts_of(policy).judged:
        raise ValueError(f"{wrapper} {why}: put the judge outside it, Judged({wrapper}(policy), score)")


def check_sound(
    policy: Policy,
    *,
    quality: bool,
    carry: bool = False,
    masks: bool = True,
    emits_mask: bool = False,
    block: int = 0,
    noise: str | None = None,
) -> None:
    """Raises: ValueError where the policy needs what the network does not have.

    quality: the network has a quality head.  carry: it hands a state from pass to pass.  masks: it was trained on
    canvases with masks; one of uniform noise alone never saw any.  emits_mask: it was taught to say the mask.
    block: positions of the blocks that it was trained to write one after another; 0: in any order.  noise: it was
    trained on canvases with random tokens, and says at one what is named, "leave_one_out" or "posterior"; None: it
    never saw any.
    """
    there = {"quality": quality, "carry": carry, "masks": masks, "emits_mask": emits_mask, "noise": noise is not None}
    there |= {"leave_one_out": noise != "posterior", "posterior": noise == "posterior"}
    for what in sorted(facts_of(policy).needs):
        if not there[what]:
            raise ValueError(f"the policy needs a network {NEEDS[what]}")
    keeps = facts_of(policy).block
    # Smaller blocks fit into larger ones. A policy that declares nothing is not checked.
    if block and hasattr(policy, "facts") and (keeps == 0 or block % keeps):
        kept = f"blocks of {keeps} positions" if keeps else "anywhere"
        raise ValueError(
            f"the policy writes {kept}, and the network was trained to write blocks of {block} positions, each when "
            f"all before it is written: choose policy=bd3 with block={block}, or Ordered over "
            f"Blocks(score, {block}, by_position=True)"
        )


def check_keeps_blocks(policy: Policy, block: int, otherwise: str = "set block_cache=false") -> None:
    """Raises: ValueError where a block of `block` positions, once written, may change: what was read of it once would
    not be what stands there. A policy that declares nothing may change all. otherwise: what else a person may
    do."""
    facts = facts_of(policy)
    if facts.block and block % facts.block == 0 and not facts.revises:
        return
    does = (
        f"writes blocks of {facts.block} positions, and {block} are read at once"
        if facts.block and block % facts.block
        else "may write into a block after it was finished"
        if hasattr(policy, "facts")
        else "does not say what it leaves as it is"
    )
    raise ValueError(
        f"a block is read once when it is finished, and the policy {does}: {otherwise}, or choose one that "
        f"declares Facts(block={block}, revises=False), such as bd3 with block={block}"
    )
