"""See `benchmarks.run`."""

from benchmarks.run import main

main()
