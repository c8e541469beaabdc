"""What vLLM's own parser makes of a command line; run by the Python of a serve image.

python ask_vllm.py FLAGS... prints `PARSED ` and JSON, flag → value.
"""

import json
import sys

from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.openai.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils import FlexibleArgumentParser

words = sys.argv[1:]
parser = make_arg_parser(FlexibleArgumentParser())
parsed = parser.parse_args(words)
validate_parsed_serve_args(parsed)
AsyncEngineArgs.from_cli_args(parsed)
flags = [word.partition("=")[0] for word in words if word.startswith("--")]
found = {flag: getattr(parsed, parser._option_string_actions[flag].dest) for flag in flags}
print("PARSED", json.dumps(found, default=vars))
