"""The dashboard and the report: one page, answered by a server or frozen into a file. Nothing in it writes to a run."""
