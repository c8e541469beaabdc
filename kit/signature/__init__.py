"""Who made a bundle: signatures, and whom this machine trusts."""
