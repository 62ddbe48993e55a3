# SPDX-License-Identifier: BSD-3-Clause
"""Cases of guests whose pages go to memory servers; each is a function that raises when it fails."""
