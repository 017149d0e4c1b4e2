"""Git with dulwich: resolve a ref, fetch one commit into a bare mirror, read trees from the object store. Nothing is checked out."""
