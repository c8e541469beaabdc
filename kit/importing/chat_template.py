"""Which of LLaMA-Factory's chat templates goes with a model, by the model's name. Pure."""

from __future__ import annotations

_FAMILIES = (
    # The first that stands in the name counts. LLaMA-Factory 0.9.3, `extras/constants.py`.
    ("deepseek-r1", "deepseekr1"),
    ("deepseek-v3", "deepseek3"),
    ("deepseek-coder", "deepseekcoder"),
    ("deepseek", "deepseek"),
    ("qwen3", "qwen3"),
    ("qwen2-vl", "qwen2_vl"),
    ("qwen2.5-vl", "qwen2_vl"),
    ("qwen2.5-omni", "qwen2_omni"),
    ("qwen2-audio", "qwen2_audio"),
    ("qwen", "qwen"),
    ("qwq", "qwen"),
    ("llama-4", "llama4"),
    ("llama-3", "llama3"),
    ("llama3", "llama3"),
    ("llama-2", "llama2"),
    ("gemma-3", "gemma3"),
    ("gemma", "gemma"),
    ("glm-4", "glm4"),
    ("glm-z1", "glmz1"),
    ("ministral", "ministral"),
    ("mistral-small", "mistral_small"),
    ("mistral", "mistral"),
    ("mixtral", "mistral"),
    ("internlm3", "intern2"),
    ("internlm2", "intern2"),
    ("baichuan2", "baichuan2"),
    ("phi-4", "phi4"),
    ("phi-3", "phi"),
    ("yi-", "yi"),
)


def template_of(model: str) -> str:
    """Return the template for a model; `default` where its name tells nothing."""
    name = model.rstrip("/").rpartition("/")[2].lower()
    return next((template for family, template in _FAMILIES if family in name), "default")
