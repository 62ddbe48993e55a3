/* SPDX-License-Identifier: BSD-3-Clause */
/* What went wrong, in words. */
#include <stdarg.h>
#include <stdio.h>

#include "common/error.h"

int rmnic_error_set(struct rmnic_error *err, const char *format, ...)
{
	va_list args;

	if (err) {
		va_start(args, format);
		vsnprintf(err->text, sizeof(err->text), format, args);
		va_end(args);
	}
	return -1;
}
