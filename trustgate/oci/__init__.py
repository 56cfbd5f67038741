"""The words of the OCI specifications as values: digests, names, descriptors, manifests."""
