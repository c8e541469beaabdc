"""Flags that people give to vLLM and that are none of its own, and what they meant. Data."""

from __future__ import annotations

_LLAMAFACTORY = "it is LLaMA-Factory's"
_SGLANG = "it is SGLang's"
_SAMPLING = "no flag of vLLM: requests say it, each for itself"
_OF_LLAMAFACTORY = f"no flag of vLLM: {_LLAMAFACTORY}"

MISTAKES: dict[str, str] = {
    "template": (
        f"{_OF_LLAMAFACTORY}; vLLM takes the chat template that stands with the model's tokenizer "
        "(its own flag for another one is --chat-template FILE)"
    ),
    **dict.fromkeys(("temperature", "top_p", "top_k", "max_tokens", "max_new_tokens", "stop"), _SAMPLING),
    **dict.fromkeys(("repetition_penalty", "presence_penalty", "frequency_penalty", "stream"), _SAMPLING),
    "enable_thinking": "no flag of vLLM: requests say it, in chat_template_kwargs",
    **dict.fromkeys(
        ("finetuning_type", "infer_backend", "stage", "cutoff_len", "vllm_enforce_eager", "dataset"),
        _OF_LLAMAFACTORY,
    ),
    "adapter_name_or_path": f"{_OF_LLAMAFACTORY}; merge the adapter with an export job, and serve that",
    "load_in_4bit": "no flag of vLLM: it is transformers'; vLLM's is --quantization",
    "load_in_8bit": "no flag of vLLM: it is transformers'; vLLM's is --quantization",
    "worker_use_ray": "vLLM's name of long ago; --distributed-executor-backend says it now",
    "engine_use_ray": "vLLM dropped it; --distributed-executor-backend says how workers run",
    "share": "no flag of vLLM: it is Gradio's",
}
"""Name, with underscores → why it is left out."""

OF_OTHERS: dict[str, tuple[str, str]] = {
    "model_name_or_path": ("model", _LLAMAFACTORY),
    "vllm_maxlen": ("max_model_len", _LLAMAFACTORY),
    "vllm_gpu_util": ("gpu_memory_utilization", _LLAMAFACTORY),
    "infer_dtype": ("dtype", _LLAMAFACTORY),
    "model_path": ("model", _SGLANG),
    "tp_size": ("tensor_parallel_size", _SGLANG),
    "context_length": ("max_model_len", _SGLANG),
    "mem_fraction_static": ("gpu_memory_utilization", _SGLANG),
    "max_length": ("max_model_len", "--max-model-len is meant"),
    "max_model_length": ("max_model_len", "--max-model-len is meant"),
    "max_seq_len": ("max_model_len", "--max-model-len is meant"),
    "ctx_size": ("max_model_len", "it is llama.cpp's"),
    "num_gpus": ("tensor_parallel_size", "--tensor-parallel-size is meant"),
    "n_gpus": ("tensor_parallel_size", "--tensor-parallel-size is meant"),
    "tensor_parallel": ("tensor_parallel_size", "--tensor-parallel-size is meant"),
}
"""Name → (the flag that is meant, whose it is)."""
