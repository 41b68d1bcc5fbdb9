"""The law of the city as pure functions and tables: nothing here knows a clock, a database or a screen."""
