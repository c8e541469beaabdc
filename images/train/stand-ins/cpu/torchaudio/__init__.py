"""An empty stand-in: LLaMA-Factory imports torchaudio when it starts, and there is no CPU build of it."""
