"""Score each subject's month from events alone: who had a part in what, how it is judged, and how sure that is."""
