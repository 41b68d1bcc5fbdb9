"""Dispatch the city's incidents: the law (`rules`), the Desk that applies it, the intake, the processes around them."""
