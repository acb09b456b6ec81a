"""A small application: says what it runs on."""

import json
import platform

print(json.dumps({"hello": "world", "python": platform.python_version()}))
