"""Walks rows through passes: noise, the pool of rows, events, traces, and autoregressive decoding. Knows no task."""
