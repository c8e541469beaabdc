"""Where models and datasets come from: ModelScope, Hugging Face, a folder."""
