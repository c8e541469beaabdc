"""Makes docs/reference/compatibility.md anew from rules.yaml. For developers, in a checkout.

python images/update_rules.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # images/kit would pass for the package kit

from kit.rules.document import rules_document  # noqa: E402
from kit.rules.rule import load_rules  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "compatibility.md"

if __name__ == "__main__":
    PAGE.write_text(rules_document(load_rules()), encoding="utf-8")
    print(f"{PAGE}: {len(load_rules().rules)} rules")
