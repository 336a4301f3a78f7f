"""A network's forward as machine code of its own: fewer calls of torch, where those cost more than their numbers.

This file decides how a network is compiled and what that takes. Values differ from the uncompiled network's in their
last bits, and are the same for the same code, network and shapes.
"""

import warnings
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch._dynamo import config
from torch._inductor import exc
from torch._inductor.cpp_builder import get_cpp_compiler

from dlmreason.networks.transformer import Transformer

MOST = 64
"""Networks and shapes that one process may compile."""


def compiled(network: Transformer) -> Transformer:
    """The same network, with the same weights, compiled when it is first called at a shape: some seconds each.

    Worth it where a forward is short and asked very often; `make bench` says what it gains, at one row and at 64.

    Raises: ValueError where there is no compiler, see `check_compiler`.
    """
    kind = network.head.weight.device.type
    check_compiler(kind)
    # A wrapper in C++ calls the parts; the parts' own guards are left out, and those of Python's and torch's names,
    # since nobody swaps a layer of a trained network, or `len`. Together they are a tenth of a forward of 0.8M
    # parameters. Never in part: what fell back would differ.
    # Networks share the code that is compiled, each with shapes of its own; the limit is meant for shapes that change.
    config.recompile_limit = max(config.recompile_limit, MOST)
    # What is kept between calls for the device's sake is traced through, and need not be kept.
    warnings.filterwarnings("ignore", "Dynamo detected a call to a `functools.lru_cache`")
    # What dynamo has asked of shapes before a call need not be asked again between its parts.
    options: dict[str, Any] = {"guard_filter_fn": _guards, "size_asserts": False, "alignment_asserts": False}
    if kind == "cpu":
        options["cpp_wrapper"] = True
    return cast(Transformer, torch.compile(network, dynamic=False, fullgraph=True, options=options))


def _guards(all_of: Sequence[Any]) -> list[bool]:
    """Which of dynamo's guards are asked before each call: of arguments, of the shape and of torch's modes."""
    kept = torch.compiler.skip_guard_on_inbuilt_nn_modules_unsafe(all_of)
    return [keep and not guard.name.startswith("G[") for keep, guard in zip(kept, all_of, strict=True)]


def check_compiler(kind: str) -> None:
    """Raises: ValueError where code for the processor cannot be compiled: there is no C++ compiler."""
    if kind != "cpu":
        return
    try:
        get_cpp_compiler()
    except exc.InvalidCxxCompiler as error:
        raise ValueError("passes are to be compiled, and there is no C++ compiler: install g++ or clang") from error
