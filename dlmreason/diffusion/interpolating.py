"""The likelihood bound under any noise: masks, uniform tokens, or both.

One formula serves all corruptions that overwrite each token by itself, for the bound asks of a corruption only its
shares and rates. This file decides no noise and no weights. The networks here are not told the time; they read the
canvas alone. Shape letters: B rows, L positions, V outputs (the mask is none of them).
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from dlmreason.diffusion.corruption import Corruption, Hybrid, Rates, Shares, corrupt, kinds
from dlmreason.diffusion.leave_one_out import Logits, leave_one_out
from dlmreason.diffusion.objectives import Batch, Forwards, Loss, Network, Taught
from dlmreason.diffusion.schedules import Below, LowDiscrepancy, Times
from dlmreason.diffusion.weightings import Noised, NoiseWeight, count


def _both_ends() -> Times:
    return Below(LowDiscrepancy(eps=1e-4))


@dataclass(frozen=True)
class InterpolatingDiffusion:
    """The bound on -log p under a corruption, in nats per editable position [GIDD, arXiv:2503.04482].

    With `Hybrid` it is the bound of GIDD; with `Uniform` that of UDLM [arXiv:2412.10193], in the form that Duo
    [arXiv:2506.10892] sums; with `Absorbing` that of `MaskedDiffusion`, which is cheaper.

    logits: what the network's logits are. "leave_one_out": p(x_i | z without z_i), which minimises the bound, as in
    the sources. "posterior": p(x_i | z); it is turned into the other first, which needs the time, and without which
    the bound of a perfect network would be too high. See `leave_one_out.py`.

    weighting "nelbo" is the bound; others give its terms other weights, and the bound is reported either way. Its terms
    have no value at t = 1 and are ill-conditioned near 0, so the times stay away from both ends, and what lies beyond
    is left out: about eps of the bound where noise grows evenly, about its root under `Hybrid` with gamma 1, whose
    reported bound at eps = 1e-4 is 1 % (peak .1) to 7 % (peak .5) too low on a toy. Costs a few float64 tensors
    [B, L, V] beside the network.
    """

    corruption: Corruption = field(default_factory=Hybrid)
    logits: Logits = "leave_one_out"
    weighting: Literal["nelbo"] | NoiseWeight = "nelbo"
    times: Times = field(default_factory=_both_ends)

    def __post_init__(self) -> None:
        if self.logits not in get_args(Logits):
            raise ValueError(f"objective.logits={self.logits!r} is unknown: choose {' or '.join(get_args(Logits))}")
        if isinstance(self.weighting, str) and self.weighting != "nelbo":
            raise ValueError(
                f"objective.weighting={self.weighting!r} is unknown: choose nelbo, or an object such as Dynamic"
            )

    @property
    def teaches(self) -> Taught:
        masks, tokens = kinds(self.corruption)
        return Taught(masks=masks, noise=self.logits if tokens else None)

    @property
    def can_guess(self) -> bool:
        """False of a posterior under noise without masks; see `guess`."""
        return self.teaches.masks or self.logits == "leave_one_out"

    @property
    def forwards(self) -> Forwards:
        return Forwards(trained=1, untrained=0)

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        t = self.times(batch.tokens.shape[0], generator)
        shares = self.corruption.shares(t)
        corrupted = corrupt(batch.tokens, batch.editable, shares, batch.mask_id, generator)
        return self.loss_at(network, batch, t, corrupted)

    def loss_at(self, network: Network, batch: Batch, t: Tensor, corrupted: Tensor) -> Loss:
        """The loss of given times [B] float64, in (0, 1), and canvases [B, L] int64: nothing is drawn.

        Raises: ValueError where the network writes other tokens than 0 .. mask_id - 1, from which noise is drawn.
        """
        said = network(corrupted, batch.features).logits
        if said.shape[-1] != batch.mask_id:
            raise ValueError(
                f"the network has {said.shape[-1]} outputs, and noise is drawn from the {batch.mask_id} tokens below "
                "the mask: let network.outputs be the mask's id, and the mask come after all tokens that are written"
            )
        shares = self.corruption.shares(t)
        log_probs = said.double().log_softmax(-1)
        if self.logits == "posterior":
            log_probs = leave_one_out(log_probs, corrupted, shares, batch.mask_id)
        masked = corrupted == batch.mask_id
        there = torch.where(batch.editable & ~masked, corrupted, 0)  # what is given may be no output
        bound = bound_weight(batch.tokens, there, masked, shares, self.corruption.rates(t), batch.mask_id)
        terms = divergence(log_probs, batch.tokens, there, masked, shares)

        def mean(weight: Tensor) -> Tensor:
            return torch.where(batch.editable, weight * terms, 0.0).sum().float() / count(batch.editable)

        nelbo = mean(bound)
        metrics = {"nelbo": nelbo.detach()}
        if isinstance(self.weighting, str):
            return Loss(nelbo, metrics)
        noised = Noised(bound, masked, there == batch.tokens, shares, batch.mask_id)
        return Loss(mean(self.weighting(noised)), metrics)

    def guess(self, network: Network, batch: Batch, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """The logits [B, L, V] by which the network would write the `hidden` [B, L] positions, seeing only the rest.

        Where noise has masks, the hidden are masked: there both kinds of logits are p(x_i | z). Else they are drawn
        anew, evenly, which is what that noise does to a token. What is said then knows nothing of what is hidden,
        whatever the network; left standing, each hidden token would tell the others, and itself as far as the network
        falls short of its best. And nothing is lost: a leave-one-out says p(x_i | z without z_i), so that where the
        hidden are as many as in training, what is drawn from it and what is right have one law given what was read.

        A posterior is another matter: it leans towards the token that stands there, here a random one, and to take that
        out would take the time, which a canvas hidden by others has none of. So without masks there is no guess.

        Raises: ValueError where it cannot guess.
        """
        if not self.can_guess:
            raise ValueError(
                "objective.logits='posterior' leans towards the token that stands, and without masks a token stands "
                "everywhere, so that the network cannot be asked what it would write: choose logits=leave_one_out"
            )
        drawn = torch.randint(batch.mask_id, hidden.shape, generator=generator, device=hidden.device)
        hides = torch.full_like(drawn, batch.mask_id) if self.teaches.masks else drawn
        return network(torch.where(hidden, hides, batch.tokens), batch.features).logits


def divergence(log_probs: Tensor, tokens: Tensor, there: Tensor, masked: Tensor, shares: Shares) -> Tensor:
    """KL(q || p) + r - log r - 1, r = q(z) / p(z): [B, L] float64, 0 or more, 0 where the right token is certain.

    q is the law of a noised token given the right one, p the same averaged over what the network says of the right
    one.  log_probs: [B, L, V] float64.  tokens: [B, L] int64, the right ones.  there: [B, L] int64, z, any output where
    `masked` [B, L] bool.
    """
    outputs = log_probs.shape[-1]
    clean, _, uniform = (share[:, None, None] for share in shares)
    same = tokens[..., None] == torch.arange(outputs, device=tokens.device)
    q = torch.where(same, clean, 0.0) + uniform / outputs
    log_p = torch.logaddexp(clean.log() + log_probs, (uniform / outputs).log())
    log_ratio = torch.where(q > 0, q.log() - log_p, 0.0)  # of the tokens; that of the mask is 0
    log_r = torch.where(masked, 0.0, log_ratio.gather(-1, there[..., None])[..., 0])
    return (q * log_ratio).sum(-1) + torch.expm1(log_r) - log_r


def bound_weight(tokens: Tensor, there: Tensor, masked: Tensor, shares: Shares, rates: Rates, outputs: int) -> Tensor:
    """The rate at which a token becomes z, over the chance q(z) that it is z: [B, L] float64, 0 or more.

    Arguments as in `divergence`.
    """
    uniform = (shares.uniform / outputs)[:, None]
    chance = torch.where(there == tokens, shares.clean[:, None], 0.0) + uniform
    chance = torch.where(masked, shares.mask[:, None], chance)
    rate = torch.where(masked, rates.mask[:, None], (rates.uniform / outputs)[:, None])
    return torch.where(rate > 0, rate / chance, 0.0)
