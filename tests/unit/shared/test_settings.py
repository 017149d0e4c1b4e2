"""What the environment sets, and how a value that cannot be used is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.settings import SettingsError, from_environment


@pytest.mark.parametrize("url", ["nonsense", "http://example.org", "redis:", "127.0.0.1:6379"])
def test_a_redis_url_that_is_none_is_refused_with_the_variables_name(url: str) -> None:
    with pytest.raises(SettingsError, match="FLEETBEAT_REDIS_URL"):
        from_environment({"FLEETBEAT_REDIS_URL": url})


@pytest.mark.parametrize("url", ["redis://h:6379/0", "rediss://u:p@h/1", "unix:///run/redis.sock?db=0"])
def test_redis_urls_are_taken_as_they_are(url: str) -> None:
    assert from_environment({"FLEETBEAT_REDIS_URL": url}).client_url == url


def test_every_bad_variable_is_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"FLEETBEAT_WORKERS.*FLEETBEAT_THREADS"):
        from_environment({"FLEETBEAT_WORKERS": "zero", "FLEETBEAT_THREADS": "-1"})


def test_a_data_folder_is_absolute_wherever_a_process_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert from_environment({"FLEETBEAT_DATA_DIR": "data"}).data_dir == tmp_path / "data"
    assert from_environment({"FLEETBEAT_DATA_DIR": "~/data"}).data_dir == tmp_path / "home" / "data"
