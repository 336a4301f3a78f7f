"""Training a network with any objective. The only home of Lightning, which `dlmreason.training.fit` imports, slowly."""
