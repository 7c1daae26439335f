"""A target that runs the lines of its first argument."""

import json
import os
import sys
import time

exec(sys.argv[1], {"os": os, "sys": sys, "time": time, "json": json})
