"""Measure how fast the house is, as ratios in one run against a stated limit."""
