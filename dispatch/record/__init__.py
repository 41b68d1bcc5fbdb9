"""Read the log: histories of incidents from their events, and the policies under which they were written."""
