"""How long the import of Ramet takes, and of a name of it; prints JSON.

python importing.py [Tuner]
"""

import json
import sys
import time

if __name__ == "__main__":
    began = time.perf_counter()
    import ramet

    for name in sys.argv[1:]:
        getattr(ramet, name)
    print(json.dumps({"seconds": time.perf_counter() - began}))
