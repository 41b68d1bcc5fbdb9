"""Count the city: cohorts by day, sets of cases, the leaders' picture, and briefings made of it."""
