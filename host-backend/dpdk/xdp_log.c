/* SPDX-License-Identifier: BSD-3-Clause */
/* What libxdp and libbpf say, through our log. */
#include "dpdk/xdp_log.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

typedef int (*print_function)(int level, const char *format, va_list args);
typedef print_function (*set_print_function)(print_function print);

/* They warn of much that is none of the user's business; what fails is an error of the port. */
static int print(int level, const char *format, va_list args)
{
	char line[256];

	(void)level;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	rmnic_log_debug("xdp: %s", line);
	return 0;
}

static void redirect(const char *library, const char *setter)
{
	/* Only if it is there: DPDK loads it with the driver. */
	void *handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
	set_print_function set;

	if (!handle)
		return;
	*(void **)&set = dlsym(handle, setter);
	if (set)
		set(print);
	dlclose(handle);
}

void rmnic_xdp_log_redirect(void)
{
	redirect("libxdp.so.1", "libxdp_set_print");
	redirect("libbpf.so.1", "libbpf_set_print");
}
