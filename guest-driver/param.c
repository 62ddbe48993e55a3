// SPDX-License-Identifier: GPL-2.0
/*
 * param.c - module parameters: their defaults, their ranges, and a clear word on a bad one.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include "rmnic.h"

#undef pr_fmt
#define pr_fmt(fmt) RMNIC_NAME ": " fmt

struct rmnic_param {
	unsigned int *value;
	unsigned int min;
	unsigned int max;
};

static int rmnic_param_set(const char *text, const struct kernel_param *kp)
{
	const struct rmnic_param *param = kp->arg;
	unsigned int value;

	if (kstrtouint(text, 0, &value) || value < param->min || value > param->max) {
		pr_err("parameter %s=%s is not a number from %u to %u\n", kp->name, text,
		       param->min, param->max);
		return -EINVAL;
	}
	WRITE_ONCE(*param->value, value);
	return 0;
}

static int rmnic_param_get(char *buffer, const struct kernel_param *kp)
{
	const struct rmnic_param *param = kp->arg;

	return sysfs_emit(buffer, "%u\n", READ_ONCE(*param->value));
}

static const struct kernel_param_ops rmnic_param_ops = {
	.set = rmnic_param_set,
	.get = rmnic_param_get,
};

/* perm 0644: a change is taken by devices that are bound from then on. */
#define RMNIC_PARAM(name, var, lo, hi, text)                                              \
	static const struct rmnic_param rmnic_param_##name = {                            \
		.value = &(var), .min = (lo), .max = (hi) };                              \
	module_param_cb(name, &rmnic_param_ops, (void *)&rmnic_param_##name, 0644);       \
	MODULE_PARM_DESC(name, text)

unsigned int rmnic_poll_us = 100;
RMNIC_PARAM(poll_us, rmnic_poll_us, 0, RMNIC_POLL_US_MAX,
	    "longest time in us a page-in spins before it sleeps, 0 to 10000 (default 100)");

unsigned int rmnic_queue_depth = 64;
RMNIC_PARAM(queue_depth, rmnic_queue_depth, 1, 1024,
	    "requests in flight on a queue pair, 1 to 1024 (default 64)");

unsigned int rmnic_pairs;
RMNIC_PARAM(pairs, rmnic_pairs, 0, RMNIC_MAX_QPAIRS / 2,
	    "page-in pairs, and as many page-out pairs; 0: one for each CPU (default 0)");

unsigned int rmnic_timeout_ms;
RMNIC_PARAM(timeout_ms, rmnic_timeout_ms, 0, 600000,
	    "time in ms after which a command is taken for stuck; 0: as the device says (default 0)");

unsigned int rmnic_max_retries = 5;
RMNIC_PARAM(max_retries, rmnic_max_retries, 0, 100,
	    "how often a page is tried again after a status that allows it (default 5)");

unsigned int rmnic_max_resets = 8;
RMNIC_PARAM(max_resets, rmnic_max_resets, 1, 1000,
	    "resets a minute the driver does for a failing device before it gives it up (default 8)");

unsigned int rmnic_coalesce_count = 8;
RMNIC_PARAM(coalesce_count, rmnic_coalesce_count, 0, 256,
	    "page-out completions an interrupt may wait for; 0 and 1: none (default 8)");

unsigned int rmnic_coalesce_us = 50;
RMNIC_PARAM(coalesce_us, rmnic_coalesce_us, 1, 10000,
	    "longest time in us a page-out interrupt is held back (default 50)");

unsigned int rmnic_swapoff_wait_ms = 10000;
RMNIC_PARAM(swapoff_wait_ms, rmnic_swapoff_wait_ms, 0, 600000,
	    "time in ms a removal waits for user space to swap the device off (default 10000)");

bool rmnic_use_rw_page = true;
module_param_named(rw_page, rmnic_use_rw_page, bool, 0444);
MODULE_PARM_DESC(rw_page,
		 "single swap pages go past the block layer where the kernel can (6.1; default Y)");
