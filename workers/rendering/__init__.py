"""From files of a commit to Kubernetes objects: plain folders, kustomize, variables. Pure but for a cache."""
