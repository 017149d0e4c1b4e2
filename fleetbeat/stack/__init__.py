"""The process tree of `fleetbeat up`: an embedded Redis, beat, workers and Flower, watched and restarted."""
