"""Claims that measure instead of answering: works of both arms, timed in turns. Weights are random: no accuracy."""
