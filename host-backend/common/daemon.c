/* SPDX-License-Identifier: BSD-3-Clause */
/* The control thread's event loop, signals, systemd. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "common/conf.h"
#include "common/daemon.h"
#include "common/log.h"

struct rmnic_daemon {
	sd_event *event;
	const struct rmnic_daemon_ops *ops;
	void *arg;
	bool stopping;
	char memory[160]; /* rmnic_daemon_memory() */
	char status[256]; /* as last told */
};

static void tell(const char *what)
{
	/* Without systemd there is nobody to tell; that is no error. */
	sd_notify(0, what);
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *arg)
{
	struct rmnic_daemon *daemon = arg;

	(void)source;
	if (daemon->stopping) {
		rmnic_log_warn("%s again: ending at once", strsignal((int)info->ssi_signo));
		return sd_event_exit(daemon->event, 1);
	}
	rmnic_log_info("%s: stopping", strsignal((int)info->ssi_signo));
	rmnic_daemon_stop(daemon);
	return 0;
}

static void reload(struct rmnic_daemon *daemon)
{
	struct rmnic_error err;

	if (daemon->ops->reload(daemon->arg, &err))
		rmnic_log(RMNIC_LOG_ERROR, "nothing is changed by this reload: %s", err.text);
	else
		rmnic_log_info("reloaded");
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *arg)
{
	struct rmnic_daemon *daemon = arg;
	struct timespec now;
	char text[96];

	(void)source;
	(void)info;
	if (!daemon->ops->reload) {
		rmnic_log_warn("SIGHUP: there is nothing to reload");
		return 0;
	}
	/* The time lets systemd (253 and later) tell this reload from an earlier one. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)now.tv_sec * 1000000ull +
			 (unsigned long long)now.tv_nsec / 1000);
	tell(text);
	reload(daemon);
	tell("READY=1");
	return 0;
}

/* Blocked in this thread and all it will make, so that only the event loop gets them. */
static int signals_block(struct rmnic_error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	errno = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (errno)
		return rmnic_error_set(err, "signals: %s", strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int loop_open(struct rmnic_daemon *daemon, struct rmnic_error *err)
{
	int ret = sd_event_new(&daemon->event);

	if (ret >= 0)
		ret = sd_event_add_signal(daemon->event, NULL, SIGTERM, on_stop, daemon);
	if (ret >= 0)
		ret = sd_event_add_signal(daemon->event, NULL, SIGINT, on_stop, daemon);
	if (ret >= 0)
		ret = sd_event_add_signal(daemon->event, NULL, SIGHUP, on_reload, daemon);
	/* WatchdogSec= of the unit, if there is one: the loop itself answers it. */
	if (ret >= 0)
		ret = sd_event_set_watchdog(daemon->event, true);
	return ret < 0 ? rmnic_error_set(err, "event loop: %s", strerror(-ret)) : 0;
}

struct rmnic_daemon *rmnic_daemon_create(const struct rmnic_daemon_ops *ops, void *arg,
					 struct rmnic_error *err)
{
	struct rmnic_daemon *daemon = calloc(1, sizeof(*daemon));

	if (!daemon) {
		rmnic_error_set(err, "out of memory");
		return NULL;
	}
	daemon->ops = ops;
	daemon->arg = arg;
	snprintf(daemon->memory, sizeof(daemon->memory), "not locked yet");
	if (signals_block(err) || loop_open(daemon, err)) {
		rmnic_daemon_destroy(daemon);
		return NULL;
	}
	return daemon;
}

void rmnic_daemon_destroy(struct rmnic_daemon *daemon)
{
	if (!daemon)
		return;
	sd_event_unref(daemon->event);
	free(daemon);
}

sd_event *rmnic_daemon_event(struct rmnic_daemon *daemon)
{
	return daemon->event;
}

/* --- Locked memory (RULES F8) ------------------------------------------------------------- */

/*
 * Whether mappings made later can be locked as well: where there is no limit, or this process
 * may lift it. Below one they would fail where unlocked ones would not, and a guest's memory is
 * such a mapping.
 */
static bool limit_is_none(char *text, size_t len)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	char size[24];

	if (setrlimit(RLIMIT_MEMLOCK, &limit) && getrlimit(RLIMIT_MEMLOCK, &limit))
		limit.rlim_cur = 0;
	if (limit.rlim_cur == RLIM_INFINITY) {
		snprintf(text, len, "no limit");
		return true;
	}
	snprintf(text, len, "limit %s", rmnic_size_format(limit.rlim_cur, size, sizeof(size)));
	return false;
}

bool rmnic_daemon_lock_memory(struct rmnic_daemon *daemon)
{
	char limit[48];
	bool unlimited = limit_is_none(limit, sizeof(limit));

	if (mlockall(MCL_CURRENT)) {
		snprintf(daemon->memory, sizeof(daemon->memory), "not locked: %s (%s)",
			 strerror(errno), limit);
		rmnic_log_warn("memory %s: where the host swaps, pages wait for its disk; raise the limit "
			       "(systemd: LimitMEMLOCK=infinity; a shell: ulimit -l unlimited)",
			       daemon->memory);
		return false;
	}
	/* On fault: a guest's memory is mapped whole, and most of it is never touched here. */
	if (unlimited && !mlockall(MCL_FUTURE | MCL_ONFAULT)) {
		snprintf(daemon->memory, sizeof(daemon->memory), "locked");
		return true;
	}
	snprintf(daemon->memory, sizeof(daemon->memory),
		 "locked, but for what is mapped later (%s)", limit);
	rmnic_log_info("memory %s", daemon->memory);
	return true;
}

const char *rmnic_daemon_memory(const struct rmnic_daemon *daemon)
{
	return daemon->memory;
}

/* --- What systemd is told ----------------------------------------------------------------- */

void rmnic_daemon_status(struct rmnic_daemon *daemon, const char *format, ...)
{
	char status[sizeof(daemon->status)] = "", text[sizeof(status) + 16];
	va_list args;

	va_start(args, format);
	vsnprintf(status, sizeof(status), format, args);
	va_end(args);
	if (!strcmp(status, daemon->status))
		return;
	memcpy(daemon->status, status, sizeof(status));
	snprintf(text, sizeof(text), "STATUS=%s", status);
	tell(text);
}

void rmnic_daemon_ready(struct rmnic_daemon *daemon, const char *status)
{
	rmnic_daemon_status(daemon, "%s", status);
	tell("READY=1");
	rmnic_log_info("ready: %s", status);
}

int rmnic_daemon_run(struct rmnic_daemon *daemon)
{
	int status = sd_event_loop(daemon->event);

	if (status < 0) {
		rmnic_log_error("event loop: %s", strerror(-status));
		return 1;
	}
	return status;
}

void rmnic_daemon_stop(struct rmnic_daemon *daemon)
{
	if (daemon->stopping)
		return;
	daemon->stopping = true;
	tell("STOPPING=1");
	if (daemon->ops->stop)
		daemon->ops->stop(daemon->arg);
	else
		rmnic_daemon_finish(daemon, 0);
}

void rmnic_daemon_finish(struct rmnic_daemon *daemon, int status)
{
	sd_event_exit(daemon->event, status);
}
