"""The sync engine. `plan` decides (pure), `apply` and `prune` have the effects, `engine` puts one run together."""
