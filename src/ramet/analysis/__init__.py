"""What a run's folder tells of it, also while the run goes on: `Run`, and what it is made of."""
