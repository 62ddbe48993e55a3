// SPDX-License-Identifier: GPL-2.0
/*
 * rw_page.c - one page past the block layer, where the kernel has that way (RULES L3).
 */
#include "rmnic.h"
