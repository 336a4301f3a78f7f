"""Every size of a network, and which sizes go together.

This file decides what a shape may be and says what is wrong with one. It knows no weights and no torch.
"""

from dataclasses import dataclass

ATTENTION = ("causal", "bidirectional", "block_causal", "prompt")
POSITIONS = ("learned", "rotary")
MIXING = ("attention", "mlp")
NORM_EPS = 1e-6
USUAL = {"loops": 1, "mixing": "attention", "mixing_width": 0}
"""Sizes that a description leaves out where they are these: networks were described without before they could be
others, and their descriptions are to stay the same."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Every size of a network, in plain types: it goes into a JSON file and comes back equal."""

    vocabulary_size: int
    outputs: int = 0  # token ids 0..outputs-1 can be written; 0: all but the last, which is the mask
    length: int  # most positions of a sheet
    feature_sizes: tuple[int, ...] = ()  # ids per feature column, 0 included
    num_layers: int
    width: int
    num_heads: int
    feedforward: int = 0  # 0: four times the width
    attention: str = "bidirectional"
    block: int = 0  # positions of a block, only and always with attention=block_causal; see `networks.attention`
    prompt: int = 0  # positions of a prompt that reads itself alone, only and always with attention=prompt
    positions: str = "learned"
    quality: bool = False  # a head that judges the token at each position
    carry: bool = False  # it reads what it said of each position in the pass before
    loops: int = 1  # times that a pass goes through the layers, each time with what entered the first time added
    mixing: str = "attention"  # how positions hear of each other; mlp: by weights of their own, see `networks.mixer`
    mixing_width: int = 0  # of the MLP over positions, only with mixing=mlp; 0: as many weights as attention would have

    def __post_init__(self) -> None:
        fix = object.__setattr__
        fix(self, "feature_sizes", tuple(self.feature_sizes))
        fix(self, "outputs", self.outputs or self.vocabulary_size - 1)
        fix(self, "feedforward", self.feedforward or 4 * self.width)
        if self.mixing == "mlp" and not self.mixing_width:
            fix(self, "mixing_width", max(1, round(2 * self.width**2 / self.length)))
        wrong = list(_faults(self))
        if wrong:
            raise ValueError("; ".join(wrong))

    @property
    def head_dim(self) -> int:
        return self.width // self.num_heads


def _faults(shape: Shape) -> list[str]:
    """Each rule that `shape` breaks, with the value, what is allowed and what to do."""
    wrong = [
        f"network {name}={value} must be a whole number of {least} or more"
        for name, least in (
            ("vocabulary_size", 2),
            ("outputs", 1),
            ("length", 1),
            ("num_layers", 1),
            ("width", 1),
            ("num_heads", 1),
            ("feedforward", 1),
            ("loops", 1),
        )
        if not isinstance(value := getattr(shape, name), int) or isinstance(value, bool) or value < least
    ]
    if wrong:
        return wrong
    if shape.outputs > shape.vocabulary_size:
        wrong.append(
            f"network outputs={shape.outputs} is above vocabulary_size={shape.vocabulary_size}: "
            f"a token that is written must be readable, lower outputs"
        )
    if shape.width % shape.num_heads:
        fits = [heads for heads in range(1, shape.width + 1) if shape.width % heads == 0 and heads <= 16]
        wrong.append(f"network width={shape.width} must be divisible by num_heads={shape.num_heads}: try one of {fits}")
    elif shape.positions == "rotary" and shape.head_dim % 2:
        wrong.append(
            f"network positions=rotary turns pairs of numbers, but width={shape.width} / num_heads={shape.num_heads} "
            f"gives {shape.head_dim} per head: make it even, or choose positions=learned"
        )
    if shape.attention not in ATTENTION:
        wrong.append(f"network attention={shape.attention!r} is none of {', '.join(ATTENTION)}")
    if not isinstance(shape.block, int) or isinstance(shape.block, bool) or shape.block < 0:
        wrong.append(f"network block={shape.block} must be a whole number of 1 or more, or 0 for no blocks")
    elif (shape.attention == "block_causal") != (shape.block > 0):
        wrong.append(
            f"network attention={shape.attention} and block={shape.block} do not fit: attention=block_causal takes a "
            f"block of 1 position or more, any other attention block=0"
        )
    if not isinstance(shape.prompt, int) or isinstance(shape.prompt, bool) or shape.prompt < 0:
        wrong.append(f"network prompt={shape.prompt} must be a whole number of 1 or more, or 0 for none apart")
    elif (shape.attention == "prompt") != (shape.prompt > 0) or shape.prompt >= shape.length:
        wrong.append(
            f"network attention={shape.attention}, prompt={shape.prompt} and length={shape.length} do not fit: "
            f"attention=prompt takes a prompt of 1 position or more and leaves 1 or more behind it, any other "
            f"attention prompt=0"
        )
    if shape.carry and shape.attention != "bidirectional":
        wrong.append(
            "network carry=true hands a state to the next pass over the same canvas; a causal network makes one pass, "
            "one in blocks is not trained to read a state, and a prompt that is read once is handed none: set "
            "attention=bidirectional, or train it with an objective that carries nothing"
        )
    wrong += _mixing_faults(shape)
    if shape.positions not in POSITIONS:
        wrong.append(f"network positions={shape.positions!r} is none of {', '.join(POSITIONS)}")
    if any(size < 1 for size in shape.feature_sizes):
        wrong.append(f"network feature_sizes={shape.feature_sizes} must each be 1 or more: id 0 means none")
    return wrong


def _mixing_faults(shape: Shape) -> list[str]:
    """What is wrong with how positions are mixed."""
    if shape.mixing not in MIXING:
        return [f"network mixing={shape.mixing!r} is none of {', '.join(MIXING)}"]
    width = shape.mixing_width
    if not isinstance(width, int) or isinstance(width, bool) or width < 0:
        return [f"network mixing_width={width} must be a whole number of 1 or more, or 0 for as many as attention has"]
    if shape.mixing == "attention":
        return [f"network mixing_width={width} is of an MLP: set mixing=mlp, or mixing_width=0"] if width else []
    wrong = []
    if shape.attention != "bidirectional":
        wrong.append(
            f"network mixing=mlp mixes all positions with all, and attention={shape.attention} is for one that must "
            "not read some of them: an autoregressive model, one in blocks and one whose prompt is read once keep "
            "mixing=attention"
        )
    if shape.positions != "learned":
        wrong.append(
            f"network mixing=mlp knows each position by its weights, and positions={shape.positions} turns queries and "
            "keys, of which it has none: set positions=learned"
        )
    return wrong
