"""Tokens in, reading out: the transformer of both arms and its checkpoints. Knows no task, policy, loss or sampler."""
