"""Numbers in, something to look at out: terminal, figure, page, W&B. Imports `dlmreason.analysis` only; no torch."""
