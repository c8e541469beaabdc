"""Tokenises the datasets of a training and saves the tokens, before its ranks meet; written by kit.

python3 tokenize_data.py tokenize.yaml
"""

from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer

model_args, data_args, training_args, finetuning_args, _ = get_train_args()
tokenizer = load_tokenizer(model_args)
template = get_template_and_fix_tokenizer(tokenizer["tokenizer"], data_args)
# Of dpo LLaMA-Factory itself says rm here: both train on pairs.
stage = "rm" if finetuning_args.stage == "dpo" else finetuning_args.stage
get_dataset(template, model_args, data_args, training_args, stage=stage, **tokenizer)
