"""What SGLang's own parser makes of a command line; run by the Python of a serve-sglang image.

python ask_sglang.py FLAGS... prints `PARSED ` and JSON, flag → value of the server's arguments, once these
passed the checks that the server makes of them. Told it is only which device there is, and its memory.
"""

import argparse
import json
import sys

from sglang.srt import server_args

MEMORY = 46_068
"""MiB, of an NVIDIA L20."""
server_args.get_device = lambda *_: "cuda"
server_args.get_device_memory_capacity = lambda *_: MEMORY

words = sys.argv[1:]
parsed = server_args.prepare_server_args(words)
parsed.check_server_args()
parser = argparse.ArgumentParser()
server_args.ServerArgs.add_cli_args(parser)
plain = vars(parser.parse_args(words))
found = {}
for flag in (word.partition("=")[0] for word in words if word.startswith("--")):
    name = flag.removeprefix("--").replace("-", "_")
    found[flag] = getattr(parsed, name) if hasattr(parsed, name) else plain[name]
print("PARSED", json.dumps(found))
