"""Ray Core underneath: actors on the nodes of a cluster, each with a worker of its own (never Ray Tune)."""
