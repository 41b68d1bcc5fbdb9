"""Read what a city decides for itself: limits, ladder, weights, notices and bursts, as frozen values."""
