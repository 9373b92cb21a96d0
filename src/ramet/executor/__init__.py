"""Where segments run. Knows nothing of strategies, of the engine, or of the ledger; any executor is disposable."""
