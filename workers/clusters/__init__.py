"""The Kubernetes API: connect, discover, list, apply, delete, and errors that say what to do. Nothing else speaks HTTP to a cluster."""
