"""Do what happens because time passes: one readable table of scheduled jobs."""
