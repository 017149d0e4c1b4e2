"""The connection to Redis and the scripts on it; every other module here is given one `Store`."""

from __future__ import annotations

import threading
from typing import Any, cast

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from shared.errors import TransientError
from shared.redaction import mask_url
from shared.settings import Settings
from shared.state import keys, scripts


class RedisUnavailableError(TransientError):
    """Redis does not answer; nothing can be decided or recorded until it does."""


Errors = (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError)
"""What redis-py raises when the server is gone or not ready yet."""


class Store:
    """Thread-safe; connects on first use. `close` ends only a client that this store made."""

    def __init__(self, client: redis.Redis) -> None:
        self.redis = client
        register = client.register_script
        self.claim = register(scripts.CLAIM)
        self.mark = register(scripts.MARK)
        self.start = register(scripts.START)
        self.gate = register(scripts.GATE)
        self.pin = register(scripts.PIN)
        self.finish = register(scripts.FINISH)
        self._key: bytes | None = None
        self._lock = threading.Lock()

    @classmethod
    def open(cls, settings: Settings) -> Store:
        """A store for these settings. No I/O happens here."""
        return cls(
            redis.Redis.from_url(
                settings.client_url,
                decode_responses=False,
                socket_timeout=10,
                socket_connect_timeout=settings.connect_timeout,
                retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 3),
                health_check_interval=15,
            )
        )

    def close(self) -> None:
        self.redis.close()

    def time(self) -> float:
        """Redis' own clock, the one all decisions between processes use."""
        seconds, micros = self.redis.time()
        return seconds + micros / 1e6

    def installation_key(self, fresh: bytes) -> bytes:
        """The key for digests of secret values: made once per Redis from `fresh`, then the same for everybody."""
        with self._lock:
            if self._key is None:
                self.redis.set(keys.INSTALLATION_KEY, fresh, nx=True)
                self._key = cast("bytes", self.redis.get(keys.INSTALLATION_KEY))
            return self._key

    def check(self, settings: Settings) -> None:
        """Ask Redis for a sign of life.

        Raises:
            RedisUnavailableError: Says where it was looked for and what to do.
        """
        try:
            self.redis.ping()
        except Errors as error:
            where = mask_url(settings.client_url) if settings.redis_url else str(settings.socket_path)
            raise RedisUnavailableError(
                f"Redis does not answer at {where}: start it with `fleetbeat up`, or set FLEETBEAT_REDIS_URL ({error})"
            ) from error


def text(value: Any) -> str:
    """Redis' bytes as text; None becomes empty."""
    return value.decode() if isinstance(value, bytes) else "" if value is None else str(value)
