"""The published ways to evolve a population: pure functions of the past. Users import them from `ramet.schedulers`."""
