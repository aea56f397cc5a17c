"""Prints one of Debian's botocore service models as JSON, without its documentation. Usage: read_botocore.py events"""

import json
import sys

from botocore.loaders import Loader


def strip(value):
    if isinstance(value, dict):
        # A member may itself be called "documentation": then its value is a shape reference, not text.
        return {k: strip(v) for k, v in value.items() if not (k == "documentation" and isinstance(v, str))}
    if isinstance(value, list):
        return [strip(v) for v in value]
    return value


json.dump(strip(Loader().load_service_model(sys.argv[1], "service-2")), sys.stdout)
