"""A cluster that is as Git wants it costs lists and nothing else."""

from __future__ import annotations

from dataclasses import replace

from tests.support.lab import Lab, config_map, document
from workers.sync.digests import fingerprint

MAPS = "/api/v1/namespaces/{}/configmaps"


def test_a_second_pass_lists_and_writes_nothing(lab: Lab, space: str) -> None:
    sync = document("app")
    job = lab.job(sync, config_map("a", space), config_map("b", space))
    first = lab.run(job)["app"]
    assert (first.state, first.count("created"), first.errors) == ("applied", 2, [])
    second = lab.run(job)["app"]
    assert (second.unchanged, second.wrote) == (2, False)
    assert dict(second.traffic.requests) == {"GET": 4}


def test_a_lost_redis_leads_to_no_write_and_the_same_inventory(lab: Lab, space: str) -> None:
    sync = document("app")
    job = lab.job(sync, config_map("a", space), config_map("b", space))
    lab.run(job)
    parent = lab.api.get(f"/api/v1/namespaces/{lab.system}/configmaps/fleetbeat-app")
    lab.forget()
    again = lab.run(job)["app"]
    assert (again.unchanged, again.wrote) == (2, False)
    assert set(again.traffic.requests) == {"GET"}
    assert lab.api.get(f"/api/v1/namespaces/{lab.system}/configmaps/fleetbeat-app") == parent


def hide(lab: Lab, space: str, value: str) -> None:
    """An edit of ConfigMap x that no list gives away: the receipt says that the object looked like this before."""
    lab.api.merge(MAPS.format(space) + "/x", {"data": {"k": value}}, "somebody")
    meta = lab.api.get(MAPS.format(space) + "/x")["metadata"]
    seen = fingerprint(("", "ConfigMap", space, "x"), meta)
    lab.alter("app", f"/ConfigMap/{space}/x", fingerprint=seen)


def test_what_no_list_gives_away_is_found_within_a_day(lab: Lab, space: str) -> None:
    job = lab.job(document("app"), config_map("x", space))
    lab.run(job)
    hide(lab, space, "hidden")
    found = 0
    for _ in range(25):
        lab.now += 3600
        found += lab.run(job)["app"].count("drifted")
    assert found == 1
    assert lab.api.get(MAPS.format(space) + "/x")["data"] == {"k": "v"}


def test_a_run_that_fails_takes_no_objects_turn_away(lab: Lab, space: str) -> None:
    job = lab.job(document("app"), config_map("x", space))
    lab.run(job)
    hide(lab, space, "hidden")
    for _ in range(25):
        lab.now += 3600
        lab.run(lab.job(document("app"), error="malformed"))
    assert lab.run(job)["app"].count("drifted") == 1


def test_a_restored_store_hides_nothing_behind_a_repeated_version(lab: Lab, space: str) -> None:
    job = lab.job(document("app"), config_map("x", space))
    lab.run(job)
    hide(lab, space, "restored")
    assert lab.run(job)["app"].changes == []
    assert lab.mark
    lab.mark = replace(lab.mark, version=lab.mark.version + 1_000_000)
    assert lab.run(job)["app"].count("configured") == 1
