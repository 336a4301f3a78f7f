"""What is learned: how text is corrupted, when, and losses over a network and a batch. Knows no task and no trainer."""
