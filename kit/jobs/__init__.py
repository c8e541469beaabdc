"""A job becomes a launch: pure functions from project, images and host facts."""
