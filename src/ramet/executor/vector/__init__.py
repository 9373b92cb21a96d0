"""The whole population as rows of one program."""
