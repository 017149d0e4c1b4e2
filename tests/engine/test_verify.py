"""A cluster that is as Git wants it costs lists and nothing else."""

from __future__ import annotations

from tests.support.lab import Lab, config_map, document

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
