"""`edgekit sweep`: a grid becomes a plan, the plan becomes jobs, and a journal remembers each step."""
