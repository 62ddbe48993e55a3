/* SPDX-License-Identifier: BSD-3-Clause */
/* rmnic-test: the device under qtest. tests/qtest/run builds and runs it. */
#include "rig.h"

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    test_props_add();
    test_regs_add();
    test_command_add();
    test_reset_add();
    test_irq_add();
    test_hotplug_add();
    test_migrate_add();
    test_user_add();
    test_user_stop_add();
    test_user_refuse_add();
    return g_test_run();
}
