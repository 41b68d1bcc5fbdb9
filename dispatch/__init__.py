"""Dispatch the city's incidents: the law (`rules`), the Desk that applies it, the intake, and the processes around them."""
