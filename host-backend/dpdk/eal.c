/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's environment, started with what rmnic knows about CPUs and rights. */
#include <errno.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "dpdk/cpus.h"
#include "dpdk/eal.h"
#include "dpdk/eal_internal.h"
#include "dpdk/xdp_log.h"

#define ARGS_MAX    64
#define WORKERS_MAX 64
#define LCORES_LEN  8192
#define LIST_LEN    1024

/* What DPDK complained of first, for the text of an error: its functions return little more than
 * "no", and what it says later is what came of it. */
static pthread_mutex_t first_lock = PTHREAD_MUTEX_INITIALIZER;
static char first_line[256];
static bool owns_cpus;

static struct job {
	int (*run)(void *arg);
	void *arg;
	sem_t done;
} jobs[WORKERS_MAX + 1];

static enum rmnic_log_level log_level_of(int level)
{
	if (level <= (int)RTE_LOG_ERR)
		return RMNIC_LOG_ERROR;
	if (level == (int)RTE_LOG_WARNING)
		return RMNIC_LOG_WARN;
	return level <= (int)RTE_LOG_INFO ? RMNIC_LOG_INFO : RMNIC_LOG_DEBUG;
}

/* Pages of 2 MiB will do, and a machine that has none of 1 GiB is nothing to warn of. */
static bool harmless(const char *line)
{
	return strstr(line, "No free 1048576 kB hugepages") != NULL;
}

/* DPDK writes through a stdio stream, whose lock keeps its writers apart. */
static ssize_t log_write(void *cookie, const char *text, size_t len)
{
	static char line[256];
	static size_t used;
	int level = rte_log_cur_msg_loglevel();

	(void)cookie;
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '\n' && used < sizeof(line) - 1) {
			line[used++] = text[i];
			continue;
		}
		line[used] = '\0';
		if (harmless(line))
			level = (int)RTE_LOG_DEBUG;
		if (used > 0)
			rmnic_log(log_level_of(level), "dpdk: %s", line);
		pthread_mutex_lock(&first_lock);
		if (used > 0 && level <= (int)RTE_LOG_WARNING && !first_line[0])
			memcpy(first_line, line, used + 1);
		pthread_mutex_unlock(&first_lock);
		used = 0;
	}
	return (ssize_t)len;
}

void rmnic_eal_forget(void)
{
	pthread_mutex_lock(&first_lock);
	first_line[0] = '\0';
	pthread_mutex_unlock(&first_lock);
}

const char *rmnic_eal_said(char *buf, size_t len)
{
	pthread_mutex_lock(&first_lock);
	snprintf(buf, len, "%s", first_line[0] ? first_line : "DPDK gave no reason");
	pthread_mutex_unlock(&first_lock);
	return buf;
}

static int log_redirect(struct rmnic_error *err)
{
	cookie_io_functions_t io = { .write = log_write };
	FILE *stream = fopencookie(NULL, "w", io);

	if (!stream || rte_openlog_stream(stream))
		return rmnic_error_set(err, "DPDK's log: %s", strerror(ENOMEM));
	return 0;
}

/*
 * One lcore an entry, "0@(0-3),1@2,...". EAL would pin each process's main lcore to CPU 0, where
 * they stand in each other's way (RULES F3): it may run wherever no worker does.
 */
static int lcores_format(const struct rmnic_eal_config *config, char *out, size_t len,
			 struct rmnic_error *err)
{
	char rest[LIST_LEN], list[LIST_LEN];
	struct rmnic_cpus allowed, wanted, others;
	bool pinned;
	size_t used;

	if (rmnic_cpus_allowed(&allowed, err))
		return -1;
	wanted = allowed;
	if (config->cpus && rmnic_cpus_parse(config->cpus, &allowed, &wanted, err))
		return -1;
	pinned = config->cpus && rmnic_cpus_count(&wanted) >= config->workers;
	others = allowed;
	if (pinned)
		rmnic_cpus_remove(&others, &wanted);
	owns_cpus = pinned && rmnic_cpus_count(&others) > 0;
	if (rmnic_cpus_count(&others) == 0)
		others = allowed;
	rmnic_cpus_format(&others, rest, sizeof(rest));
	rmnic_cpus_format(&wanted, list, sizeof(list));
	used = (size_t)snprintf(out, len, "0@(%s)", rest);
	for (unsigned int i = 0; i < config->workers && used < len; i++) {
		if (pinned)
			used += (size_t)snprintf(out + used, len - used, ",%u@%u", i + 1,
						 rmnic_cpus_nth(&wanted, i));
		else
			used += (size_t)snprintf(out + used, len - used, ",%u@(%s)", i + 1, list);
	}
	if (used >= len)
		return rmnic_error_set(err, "too many CPUs to tell DPDK of: name fewer with --cpus");
	return 0;
}

/* EAL makes its directory in RUNTIME_DIRECTORY, or in /var/run (as root) and fails there when
 * "root" is that of a user namespace (RULES F8). */
static bool telemetry_possible(void)
{
	if (getenv("RUNTIME_DIRECTORY") || getuid() != 0 || access("/var/run", W_OK) == 0)
		return true;
	rmnic_log_warn("no DPDK telemetry: /var/run is not writable; set RUNTIME_DIRECTORY to a "
		       "directory that is");
	return false;
}

struct arguments {
	const char *arg[ARGS_MAX];
	int count;
	bool pci;
};

static void argument(struct arguments *a, const char *text)
{
	if (a->count < ARGS_MAX - 1)
		a->arg[a->count++] = text;
}

static void arguments_fill(struct arguments *a, const struct rmnic_eal_config *config,
			   const char *lcores, const char *memory, const char *level)
{
	argument(a, config->program ? config->program : "rmnic");
	/* Nothing of one process is in another's way: no shared files, no common names. */
	argument(a, "--no-shconf");
	if (config->hugepages)
		argument(a, "--in-memory");
	else
		argument(a, "--no-huge");
	argument(a, "-m");
	argument(a, memory);
	/* Pages are sent from where they lie, under their virtual addresses (RULES F6). */
	argument(a, "--iova-mode=va");
	argument(a, "--lcores");
	argument(a, lcores);
	argument(a, level);
	if (!config->telemetry || !telemetry_possible())
		argument(a, "--no-telemetry");
	for (const char *const *d = config->devices; d && *d; d++) {
		a->pci |= !strncmp(*d, "-a", 2);
		argument(a, *d);
	}
	/* Without a list EAL takes every NIC that it can. A port that is opened later by its
	 * address adds itself to the list; the host bridge is no NIC. */
	if (!a->pci) {
		argument(a, "-a");
		argument(a, "0000:00:00.0");
	}
	a->arg[a->count] = NULL;
}

int rmnic_eal_start(const struct rmnic_eal_config *config, struct rmnic_error *err)
{
	static char lcores[LCORES_LEN], memory[16], level[32], said[256];
	struct arguments a = { .count = 0 };
	uint32_t mib = config->memory_mib ? config->memory_mib : 64;
	int log = config->log_level ? config->log_level : (int)RTE_LOG_WARNING;

	if (config->workers > WORKERS_MAX)
		return rmnic_error_set(err, "%u worker lcores are out of range (0-%d)",
				       config->workers, WORKERS_MAX);
	if (lcores_format(config, lcores, sizeof(lcores), err) || log_redirect(err))
		return -1;
	snprintf(memory, sizeof(memory), "%u", mib);
	snprintf(level, sizeof(level), "--log-level=%d", log);
	arguments_fill(&a, config, lcores, memory, level);
	rte_log_set_global_level((uint32_t)log);
	rmnic_eal_forget();
	optind = 1;
	if (rte_eal_init(a.count, (char **)(uintptr_t)a.arg) < 0)
		return rmnic_error_set(
			err, "DPDK does not start (%s): %s; %s", rte_strerror(rte_errno),
			rmnic_eal_said(said, sizeof(said)),
			config->hugepages ? "are there enough hugepages (/proc/meminfo)? "
					    "--no-huge does without"
					  : "is there enough memory?");
	rmnic_xdp_log_redirect();
	return 0;
}

void rmnic_eal_stop(void)
{
	rte_eal_cleanup();
	rte_openlog_stream(NULL);
}

static int job_run(void *arg)
{
	struct job *job = arg;
	int ret = job->run(job->arg);

	sem_post(&job->done);
	return ret;
}

int rmnic_eal_launch(unsigned int lcore, int (*run)(void *arg), void *arg, struct rmnic_error *err)
{
	struct job *job;
	int ret = -EINVAL;

	if (lcore >= 1 && lcore <= WORKERS_MAX) {
		job = &jobs[lcore];
		job->run = run;
		job->arg = arg;
		sem_init(&job->done, 0, 0);
		ret = rte_eal_remote_launch(job_run, job, lcore);
	}
	return ret ? rmnic_error_set(err, "lcore %u: %s", lcore, rte_strerror(-ret)) : 0;
}

int rmnic_eal_join(unsigned int lcore)
{
	while (sem_wait(&jobs[lcore].done))
		;
	/* It is about to return. */
	return rte_eal_wait_lcore(lcore);
}

bool rmnic_eal_owns_cpus(void)
{
	return owns_cpus;
}
