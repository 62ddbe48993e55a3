/* SPDX-License-Identifier: BSD-3-Clause */
#include "memd/pressure.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/timeout.h"
#include "rmnic/device.h"

#define LOOK_US  UINT64_C(1000000)
/* Of the machine's memory: there the kernel is busy with finding pages already. */
#define DEFAULT_SHARE 64
/* Somebody waited for memory for 100 ms of 2 s, the shortest time that a plain user may ask for. */
#define STALL "some 100000 2000000"

struct memd_pressure {
	struct memd_server *server;
	const struct memd_config *config;
	sd_event_source *timer;
	sd_event_source *stall; /* NULL: the system does not tell of stalls */
	int fd;                 /* of that; -1 */
	bool now;
	bool shrunk; /* less is lent than is configured */
};

/* --- What the system has left ---------------------------------------------------------------------- */

/* UINT64_MAX: it does not say. */
static uint64_t available(void)
{
	static const char key[] = "MemAvailable:";
	uint64_t bytes = UINT64_MAX;
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, sizeof(key) - 1))
			bytes = strtoull(line + sizeof(key) - 1, NULL, 10) << 10;
	if (f)
		fclose(f);
	return bytes;
}

static uint64_t below(const struct memd_pressure *p)
{
	uint64_t bytes = p->config->pressure_available;

	return bytes ? bytes : memd_memory_of_machine() / DEFAULT_SHARE;
}

static bool wanted(const struct memd_pressure *p)
{
	if (p->config->pressure != MEMD_PRESSURE_AUTO)
		return p->config->pressure == MEMD_PRESSURE_ON;
	/* It ends later than it begins: what comes back at once would leave at once. */
	return available() < (p->now ? 2 : 1) * below(p);
}

/* --- What follows from it --------------------------------------------------------------------------- */

static void tell(struct memd_server *s, void *arg)
{
	const struct memd_pressure *p = arg;

	rmnic_rmp_server_pressure(s->rmp, p->now);
	rmnic_mem_press(s->store, p->now);
}

/* Only what is promised: the rest goes to the system, granule by granule. */
static void shrink(struct memd_server *s, void *arg)
{
	(void)arg;
	rmnic_mem_lend(s->store, 0);
}

/* As much as is configured, if the system has so much to spare. */
static void grow(struct memd_pressure *p)
{
	uint64_t have = memd_server_lent(p->server) * RMNIC_PAGE_SIZE, left = available();
	uint64_t want = p->config->memory, spare = 2 * below(p);
	struct rmnic_error err;

	if (have >= want) {
		p->shrunk = false;
		return;
	}
	spare = left > spare ? left - spare : 0;
	if (p->config->pressure == MEMD_PRESSURE_AUTO && want - have > spare)
		want = (have + spare) / RMNIC_PAGE_SIZE * RMNIC_PAGE_SIZE;
	if (want > have && memd_server_lend(p->server, want, &err))
		rmnic_log_limited(RMNIC_LOG_WARN, "%s", err.text);
}

static void change(struct memd_pressure *p, bool now)
{
	unsigned long long left = (unsigned long long)available() >> 20;

	p->now = now;
	memd_server_call(p->server, tell, p);
	if (!now)
		rmnic_log_info("memory is not short any more: %llu MiB are available", left);
	else if (p->config->pressure == MEMD_PRESSURE_ON)
		rmnic_log_warn("memory is short, as it was said: backends are asked to take their slabs "
			       "away");
	else
		rmnic_log_warn("memory is short, %llu MiB are available and %llu MiB should be "
			       "(pressure-available): backends are asked to take their slabs away",
			       left, (unsigned long long)below(p) >> 20);
}

static void look(struct memd_pressure *p)
{
	bool now = wanted(p);

	if (now != p->now)
		change(p, now);
	if (p->now) {
		memd_server_call(p->server, shrink, NULL);
		p->shrunk = true;
	} else if (p->shrunk) {
		grow(p);
	}
}

/* --- When ------------------------------------------------------------------------------------------- */

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	struct memd_pressure *p = arg;

	(void)usec;
	look(p);
	return rmnic_timeout_set(sd_event_source_get_event(source), &p->timer, LOOK_US, on_timer, p);
}

static int on_stall(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	(void)fd;
	if (revents & EPOLLERR) /* the file is gone: the timer looks anyway */
		return sd_event_source_set_enabled(source, SD_EVENT_OFF);
	look(arg);
	return 0;
}

/* The timer alone is late where memory goes fast. Without the right to it, it must do. */
static void watch_stalls(struct memd_pressure *p, sd_event *event)
{
	p->fd = open("/proc/pressure/memory", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (p->fd >= 0 && write(p->fd, STALL, sizeof(STALL)) == sizeof(STALL) &&
	    sd_event_add_io(event, &p->stall, p->fd, EPOLLPRI, on_stall, p) >= 0)
		return;
	rmnic_log_info("the kernel does not tell of waits for memory (%m): it is looked at once a "
		       "second");
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

struct memd_pressure *memd_pressure_open(sd_event *event, struct memd_server *server,
					 const struct memd_config *config, struct rmnic_error *err)
{
	struct memd_pressure *p = calloc(1, sizeof(*p));

	if (!p) {
		rmnic_error_set(err, "no memory to watch memory");
		return NULL;
	}
	p->server = server;
	p->config = config;
	p->fd = -1;
	if (rmnic_timeout_set(event, &p->timer, LOOK_US, on_timer, p) < 0) {
		rmnic_error_set(err, "no timer to watch memory with");
		memd_pressure_close(p);
		return NULL;
	}
	watch_stalls(p, event);
	look(p);
	return p;
}

void memd_pressure_close(struct memd_pressure *p)
{
	if (!p)
		return;
	sd_event_source_disable_unref(p->stall);
	sd_event_source_disable_unref(p->timer);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

void memd_pressure_changed(struct memd_pressure *p)
{
	look(p);
}

void memd_pressure_look(struct memd_pressure *p, struct memd_pressure_info *out)
{
	*out = (struct memd_pressure_info){
		.now = p->now, .available = available(), .below = below(p),
	};
}
