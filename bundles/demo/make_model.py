"""Make the demo's base model: a Qwen3 with random weights, small enough for any machine.

    python make_model.py OUT_FOLDER

Needs numpy and tokenizers. The same seed gives the same bytes. The model knows nothing: what it
answers after the training is what the training taught it.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

SEED = 20260101
HIDDEN = 64
LAYERS = 2
HEADS = 2
KEY_VALUE_HEADS = 1
HEAD_DIM = 64  # vLLM's attention on CPUs refuses much smaller ones
INTERMEDIATE = 192
VOCABULARY = 1000
# Standard deviations. Qwen3's own initial 0.02 would make every logit nearly 0, and an adapter, which
# leaves the embeddings frozen, could never lift one above the rest. These can be learned on.
SPREAD = 0.1
EMBEDDING_SPREAD = 1.0
HEAD_SPREAD = 0.5

END, START, STOP = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """Return a byte-level BPE tokenizer of at most VOCABULARY tokens, trained on `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in (END, START, STOP)],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def model_config(end: int, stop: int) -> dict[str, object]:
    """Return config.json."""
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": end,
        "eos_token_id": stop,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "initializer_range": SPREAD,
        "intermediate_size": INTERMEDIATE,
        "max_position_embeddings": 512,
        "max_window_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 10000.0,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": VOCABULARY,
    }


def tensor_shapes() -> dict[str, tuple[int, ...]]:
    """Return every weight's name and shape; one dimension means a norm, which starts at 1."""
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCABULARY, HIDDEN),
        "model.norm.weight": (HIDDEN,),
        "lm_head.weight": (VOCABULARY, HIDDEN),
    }
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}"
        shapes |= {
            f"{prefix}.input_layernorm.weight": (HIDDEN,),
            f"{prefix}.post_attention_layernorm.weight": (HIDDEN,),
            f"{prefix}.self_attn.q_proj.weight": (HEADS * HEAD_DIM, HIDDEN),
            f"{prefix}.self_attn.k_proj.weight": (KEY_VALUE_HEADS * HEAD_DIM, HIDDEN),
            f"{prefix}.self_attn.v_proj.weight": (KEY_VALUE_HEADS * HEAD_DIM, HIDDEN),
            f"{prefix}.self_attn.o_proj.weight": (HIDDEN, HEADS * HEAD_DIM),
            f"{prefix}.self_attn.q_norm.weight": (HEAD_DIM,),
            f"{prefix}.self_attn.k_norm.weight": (HEAD_DIM,),
            f"{prefix}.mlp.gate_proj.weight": (INTERMEDIATE, HIDDEN),
            f"{prefix}.mlp.up_proj.weight": (INTERMEDIATE, HIDDEN),
            f"{prefix}.mlp.down_proj.weight": (HIDDEN, INTERMEDIATE),
        }
    return dict(sorted(shapes.items()))


def random_weights(seed: int) -> dict[str, np.ndarray]:
    """Return the weights, float32."""
    generator = np.random.default_rng(seed)
    spreads = {"model.embed_tokens.weight": EMBEDDING_SPREAD, "lm_head.weight": HEAD_SPREAD}
    weights = {}
    for name, shape in tensor_shapes().items():
        if len(shape) == 1:
            weights[name] = np.ones(shape, "<f4")
        else:
            weights[name] = (generator.standard_normal(shape) * spreads.get(name, SPREAD)).astype("<f4")
    return weights


def safetensors(weights: dict[str, np.ndarray]) -> bytes:
    """Return a safetensors file: length of the header, header, the tensors' bytes."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in weights.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.nbytes],
        }
        offset += tensor.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(tensor.tobytes() for tensor in weights.values())


def make_model(out: Path, data: Path, seed: int = SEED) -> None:
    """Write the model's folder."""
    pairs = json.loads(data.read_text(encoding="utf-8"))
    tokenizer = train_tokenizer([pair[part] for pair in pairs for part in ("instruction", "output")])
    ids = {token: tokenizer.token_to_id(token) for token in (END, STOP)}
    documents = {
        "config.json": model_config(ids[END], ids[STOP]),
        "generation_config.json": {"eos_token_id": ids[STOP], "pad_token_id": ids[END], "do_sample": False},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": STOP,
            "pad_token": END,
            "additional_special_tokens": [START, STOP],
            "clean_up_tokenization_spaces": False,
            "model_max_length": 512,
            "chat_template": CHAT_TEMPLATE,
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        text = json.dumps(document, indent=2, ensure_ascii=False)
        (out / name).write_text(text + "\n", encoding="utf-8")
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "model.safetensors").write_bytes(safetensors(random_weights(seed)))


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit("usage: python make_model.py OUT_FOLDER")
    make_model(Path(sys.argv[1]), Path(__file__).with_name("data") / "questions.json")
