"""Taking to the intranet hosts what they lack, verified and resumable."""
