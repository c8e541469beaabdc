"""Makes a tiny Qwen3 with random weights, its tokenizer and a data set: python make_model.py FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

FOLDER = Path(sys.argv[1])
PAIRS = [(f"What follows {number}?", str(number + 1)) for number in range(8)]

raw = Tokenizer(models.BPE())
raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
raw.decoder = decoders.ByteLevel()
raw.train_from_iterator(
    (text for pair in PAIRS for text in pair),
    trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    ),
)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>")
tokenizer.save_pretrained(FOLDER / "model")
torch.manual_seed(0)
config = Qwen3Config(
    vocab_size=512,
    hidden_size=64,
    intermediate_size=128,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=64,
    max_position_embeddings=2048,
    eos_token_id=tokenizer.eos_token_id,
    pad_token_id=tokenizer.pad_token_id,
)
Qwen3ForCausalLM(config).save_pretrained(FOLDER / "model")
data = FOLDER / "data"
data.mkdir(exist_ok=True)
rows = [{"instruction": question, "input": "", "output": answer} for question, answer in PAIRS]
(data / "pairs.json").write_text(json.dumps(rows), encoding="utf-8")
(data / "dataset_info.json").write_text(json.dumps({"pairs": {"file_name": "pairs.json"}}), encoding="utf-8")
