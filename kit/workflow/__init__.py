"""Use cases that join several stages of the journey: lock a project, make its bundle."""
