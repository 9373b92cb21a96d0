"""What each plot shows: a file for a plot, with one function that makes its `Picture` from a run."""
