"""A checker that a test can have misbehave; its first argument says how, and `wait` in a record how it judges."""

import json
import sys
import time

mode = sys.argv[1]
for number, line in enumerate(sys.stdin):
    question = json.loads(line)
    if mode == "chatty":
        print("x" * 70_000, file=sys.stderr, flush=True)
    if "schema" in question:
        answer = {"usable": False, "why": "it is odd"} if mode == "refuses" else {"usable": True}
    else:
        judged = question["record"]["id"]
        if mode == "dies" and judged == 2:
            sys.exit(0)
        if mode == "hangs" and judged == 2:
            time.sleep(1000)
        answer = {"valid": True}
        if judged == 1:
            answer = {"valid": False, "rule": "pattern", "path": ["id"], "value": "1", "cut": False}
        if mode == "babbles" and judged == 2:
            answer = {"valid": "yes"}
        if mode == "repeats" and judged == 2:
            print(json.dumps(answer))
        if mode == "slow":
            time.sleep(0.1)
    print(json.dumps(answer), flush=True)
