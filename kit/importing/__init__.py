"""What users already have, taken as it is: argument files and command lines become jobs of kit.yaml. Pure."""
