# SPDX-License-Identifier: BSD-3-Clause
"""How long the runs may take together: on a slow machine there are fewer rounds, not a longer run."""
import time

# Seconds that the parts take on a machine that is quick enough for all rounds.
PARTS = {"host": 220, "pager": 420, "pager again": 150, "mix": 50, "programs": 180, "cost": 100, "scale": 120}
WHOLE_S, QUICK_S = 1080, 210


class Budget:
    def __init__(self, seconds):
        self.end = time.monotonic() + seconds
        self.to_come = []

    def plan(self, parts):
        """Names of PARTS, in the order in which they come."""
        self.to_come += parts

    def over(self):
        return time.monotonic() >= self.end

    def begin(self, part):
        """Seconds for a part that begins now: its share of what is left, so that those behind it have theirs."""
        left = max(self.end - time.monotonic(), 0)
        share = left * PARTS[part] / sum(PARTS[name] for name in self.to_come)
        self.to_come.remove(part)
        return share
