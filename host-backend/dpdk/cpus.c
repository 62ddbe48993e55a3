/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of CPUs. */
#include "dpdk/cpus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int rmnic_cpus_allowed(struct rmnic_cpus *out, struct rmnic_error *err)
{
	if (sched_getaffinity(0, sizeof(out->set), &out->set))
		return rmnic_error_set(err, "the CPUs of this process: %s", strerror(errno));
	return 0;
}

/* "5" or "2-5" at *at, which is moved behind it. */
static int range_parse(const char **at, unsigned long *first, unsigned long *last)
{
	char *end;

	if (**at < '0' || **at > '9')
		return -1;
	*first = *last = strtoul(*at, &end, 10);
	if (*end == '-') {
		if (end[1] < '0' || end[1] > '9')
			return -1;
		*last = strtoul(end + 1, &end, 10);
	}
	*at = end;
	return *first <= *last ? 0 : -1;
}

int rmnic_cpus_parse(const char *text, const struct rmnic_cpus *allowed, struct rmnic_cpus *out,
		     struct rmnic_error *err)
{
	const char *at = text;
	unsigned long first, last;
	char list[256];

	CPU_ZERO(&out->set);
	do {
		if (range_parse(&at, &first, &last) || (*at && *at != ','))
			return rmnic_error_set(err, "cpus '%s': expected a list such as 2-5,7", text);
		for (unsigned long cpu = first; cpu <= last; cpu++) {
			if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &allowed->set))
				return rmnic_error_set(
					err, "cpus '%s': CPU %lu is none that may be used here (%s)",
					text, cpu, rmnic_cpus_format(allowed, list, sizeof(list)));
			CPU_SET(cpu, &out->set);
		}
	} while (*at++ == ',');
	return 0;
}

const char *rmnic_cpus_format(const struct rmnic_cpus *cpus, char *buf, size_t len)
{
	size_t used = 0;

	buf[0] = '\0';
	for (int cpu = 0; cpu < CPU_SETSIZE && used < len; cpu++) {
		int first = cpu;

		if (!CPU_ISSET((size_t)cpu, &cpus->set))
			continue;
		while (cpu + 1 < CPU_SETSIZE && CPU_ISSET((size_t)cpu + 1, &cpus->set))
			cpu++;
		if (first == cpu)
			used += (size_t)snprintf(buf + used, len - used, "%s%d", used ? "," : "",
						 cpu);
		else
			used += (size_t)snprintf(buf + used, len - used, "%s%d-%d",
						 used ? "," : "", first, cpu);
	}
	return buf;
}

unsigned int rmnic_cpus_count(const struct rmnic_cpus *cpus)
{
	return (unsigned int)CPU_COUNT(&cpus->set);
}

unsigned int rmnic_cpus_nth(const struct rmnic_cpus *cpus, unsigned int n)
{
	unsigned int cpu = 0;

	for (;; cpu++) {
		if (CPU_ISSET(cpu, &cpus->set) && n-- == 0)
			return cpu;
	}
}

void rmnic_cpus_remove(struct rmnic_cpus *cpus, const struct rmnic_cpus *which)
{
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &which->set))
			CPU_CLR(cpu, &cpus->set);
	}
}
