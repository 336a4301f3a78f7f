"""What happens to the canvas: base policies, wrappers around them, and the presets that experiments name. Knows no
network."""
