# SPDX-License-Identifier: BSD-3-Clause
"""The same over DPDK's net_af_packet: what a port's driver has a part in."""
import cases_user
import rig


def _over(case):
    def over():
        rig.DRIVER = "af_packet:"
        case()
    over.__name__ = case.__name__ + "_over_af_packet"
    return over


CASES = [_over(case) for case in (
    cases_user.whole_pages_at_mtu_9000, cases_user.mtu_1500_to_the_last_byte, cases_user.two_lcores_hand_over,
    cases_user.processes_side_by_side, cases_user.shared_with_the_kernel, cases_user.link_down_and_up,
    cases_user.a_down_link_costs_no_cpu, cases_user.garbage_is_counted_and_not_answered,
    cases_user.checksums_and_congestion_marks, cases_user.noise, cases_user.idle_costs_less_than_one_percent,
    cases_user.it_wakes_up_from_idle,
)]
