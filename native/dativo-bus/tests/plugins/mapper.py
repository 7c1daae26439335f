"""A mapper: passes everything on, with `v` in capitals. `die`: dies half way."""

import json
import sys

for number, line in enumerate(sys.stdin):
    message = json.loads(line)
    if message["type"] == "RECORD":
        message["record"]["v"] = message["record"]["v"].upper()
    print(json.dumps(message), flush=True)
    if sys.argv[1:] == ["die"] and number == 4:
        sys.exit(3)
