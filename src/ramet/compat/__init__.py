"""Other libraries' names on top of Ramet, for scripts that were written for them."""
