# SPDX-License-Identifier: BSD-3-Clause
"""How far it is: a line for each step, with the time that went by."""
import time


class Progress:
    def __init__(self, steps):
        self.steps, self.done, self.start = steps, 0, time.monotonic()

    def step(self, text):
        self.done += 1
        minutes, seconds = divmod(int(time.monotonic() - self.start), 60)
        print(f"perf: {minutes}:{seconds:02} [{self.done}/{self.steps}] {text}", flush=True)
