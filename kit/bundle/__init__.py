"""The bundle: an OCI image layout of content-addressed blobs and one verified manifest."""
