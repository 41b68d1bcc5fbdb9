"""Hold the chain of one incident: its values, the walk through the law, and what each verb does beyond its step."""
