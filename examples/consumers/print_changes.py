"""A consumer group of your own on the audit stream: prints every change once, whichever of its members gets it.

FLEETBEAT_REDIS_URL=redis://… python examples/consumers/print_changes.py my-team
"""

import json
import os
import sys

import redis

STREAM, GROUP, ME = "fleetbeat:audit", sys.argv[1], f"{os.uname().nodename}-{os.getpid()}"
store = redis.Redis.from_url(os.environ["FLEETBEAT_REDIS_URL"])
try:
    store.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
except redis.ResponseError as error:
    if "BUSYGROUP" not in str(error):
        raise
while True:
    # What a member that died had taken and never acknowledged comes first.
    taken = store.xautoclaim(STREAM, GROUP, ME, min_idle_time=60_000, count=100)[1]
    fresh = store.xreadgroup(GROUP, ME, {STREAM: ">"}, count=100, block=5_000)
    for entry, fields in [*taken, *(row for _, rows in fresh or [] for row in rows)]:
        event = json.loads(fields[b"event"])
        print(
            event["time"],
            event["type"],
            event.get("cluster", "-"),
            event.get("object", {}).get("name", "-"),
            flush=True,
        )
        store.xack(STREAM, GROUP, entry)
