"""The one door for every change: gather the rows, let the law decide, apply the whole batch."""
