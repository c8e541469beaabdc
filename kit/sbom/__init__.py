"""What an image or a model is made of: packages, files, licences, as CycloneDX documents. Pure."""
