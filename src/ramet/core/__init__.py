"""The pure core: what can happen, the fold of what happened, and what to do next. No I/O, no clock, no threads."""
