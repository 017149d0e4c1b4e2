"""`fleetbeat demo`: the whole product on simulated clusters, told as a story."""
