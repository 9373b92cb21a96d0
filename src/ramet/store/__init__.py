"""The durable side: the ledger and the checkpoints. Knows no other room."""
