"""Arms answer examples over a ladder of budgets, and what they answered is judged and recorded. Knows no training."""
