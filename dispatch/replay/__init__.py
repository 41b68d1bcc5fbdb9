"""Send another city's past through the same chain and compare verdicts."""
