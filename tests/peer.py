"""The same network in Hugging Face's transformers: an implementation of others to be equal to, and to race."""

from typing import Any

import torch
from torch import Tensor

from dlmreason.networks.transformer import NORM_EPS, ROTARY_BASE, Transformer


def as_hugging_face(network: Transformer) -> Any:
    """Their Arcee model, the one of theirs with normed pre-activations, two matrices an MLP and no bias, with the
    weights of a causal network with rotary positions and neither features nor a quality head."""
    from transformers import ArceeConfig, ArceeForCausalLM

    shape = network.shape
    assert (shape.attention, shape.positions, shape.feature_sizes) == ("causal", "rotary", ())
    assert not shape.quality
    config = ArceeConfig(
        vocab_size=shape.vocabulary_size,
        hidden_size=shape.width,
        intermediate_size=shape.feedforward,
        num_hidden_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        hidden_act="gelu",
        max_position_embeddings=shape.length,
        rms_norm_eps=NORM_EPS,
        rope_parameters={"rope_type": "default", "rope_theta": ROTARY_BASE},
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
        attn_implementation="sdpa",
    )
    theirs = ArceeForCausalLM(config).to(network.head.weight.dtype).eval()
    theirs.load_state_dict(_renamed(network), strict=True)
    return theirs


def _renamed(network: Transformer) -> dict[str, Tensor]:
    """Our weights under their names. Their output layer has a row for each token; ours has none for the last ones,
    which are never written: a row of zeros."""
    head = network.head.weight.detach()
    missing = torch.zeros(network.shape.vocabulary_size - len(head), network.shape.width, dtype=head.dtype)
    weights = {
        "model.embed_tokens.weight": network.tokens.weight,
        "model.norm.weight": network.norm.weight,
        "lm_head.weight": torch.cat((head, missing)),
    }
    for number, block in enumerate(network.blocks):
        query, key, value = block.qkv.weight.chunk(3)  # type: ignore[union-attr, operator]
        parts: dict[str, Any] = {
            "input_layernorm": block.attention_norm.weight,  # type: ignore[union-attr]
            "self_attn.q_proj": query,
            "self_attn.k_proj": key,
            "self_attn.v_proj": value,
            "self_attn.o_proj": block.out.weight,  # type: ignore[union-attr]
            "post_attention_layernorm": block.mlp_norm.weight,  # type: ignore[union-attr]
            "mlp.up_proj": block.up.weight,  # type: ignore[union-attr]
            "mlp.down_proj": block.down.weight,  # type: ignore[union-attr]
        }
        weights |= {f"model.layers.{number}.{name}.weight": part for name, part in parts.items()}
    return {name: weight.detach().clone() for name, weight in weights.items()}
