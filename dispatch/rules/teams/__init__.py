"""Say which team may go: the nearest of the right trade, and what speaks for and against each."""
