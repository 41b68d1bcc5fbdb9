"""Prove that what is stored is what was written: links, folds, counts and scores computed again."""
