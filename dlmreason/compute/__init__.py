"""What an answer costs: FLOPs, the ledger, and budgets matched across arms. Knows no network beyond its sizes."""
