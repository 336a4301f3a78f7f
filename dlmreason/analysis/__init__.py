"""Records in, numbers out: statistics, comparisons, revisions. No torch, nothing else of ours."""
