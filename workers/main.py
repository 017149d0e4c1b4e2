"""What `celery -A workers.main worker|control|inspect|flower` loads: the app with the tasks and remote-control commands on it."""

from __future__ import annotations

from shared.queue import build
from shared.settings import from_environment
from workers import control, tasks

app = build(from_environment())
tasks.register(app)
control.install(app)
app.finalize()
