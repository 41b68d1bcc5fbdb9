"""Say who could go now: teams, rosters and experience gathered for the law to weigh."""
