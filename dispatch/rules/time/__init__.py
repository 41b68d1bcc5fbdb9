"""Count the city's time: working sessions and holidays, clocks beside an incident, spans of days."""
