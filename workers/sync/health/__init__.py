"""Is a live object ready, and if not, why? Pure: `table` is the data, `rules` reads it, `reasons` words it, `page` documents it."""

from workers.sync.health.rules import Verdict, judge, may_be_unready

__all__ = ["Verdict", "judge", "may_be_unready"]
