#!/bin/bash
# test_config_doc.sh - docs/config.md is what the program says of itself; to mend it: flashcast --help-config > docs/config.md
set -euo pipefail
diff -u "$2/docs/config.md" <("$1" --help-config)
