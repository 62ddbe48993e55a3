# SPDX-License-Identifier: BSD-3-Clause
"""The performance runs: what is measured, how often, and what is made of it."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "scripts"))
