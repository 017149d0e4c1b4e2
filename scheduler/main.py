"""What `celery -A scheduler.main beat` loads: the app, with the due set as its schedule."""

from __future__ import annotations

from shared.queue import build
from shared.settings import from_environment

app = build(from_environment())
app.finalize()
