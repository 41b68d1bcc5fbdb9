"""Define each measure once: indicators and scores, fair comparison, forecast, and the past under other limits."""
