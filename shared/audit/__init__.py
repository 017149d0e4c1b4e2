"""The audit trail: who changed what, when, and when it was live where."""
