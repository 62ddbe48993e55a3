/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/telemetry.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <rte_telemetry.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/log.h"

/* What one question may wait for the control thread. */
#define WAIT_S 5

/* One question at a time; the message is free again when it was answered. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	struct rmnic_msg msg;
	struct rmnic_report *report; /* NULL: closed */
	json_t *(*make)(struct rmnic_report *report);
	json_t *answer;
	bool posted; /* not answered yet, though the question gave up */
	sem_t done;
} question;

/* In the control thread. */
static void answer(struct rmnic_msg *msg)
{
	(void)msg;
	question.answer = question.make(question.report);
	sem_post(&question.done);
}

/* The answer to an earlier question whose asker gave up comes first. */
static bool await_answer(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	while (sem_timedwait(&question.done, &until))
		if (errno != EINTR)
			return false;
	question.posted = false;
	return true;
}

static json_t *ask(json_t *(*make)(struct rmnic_report *report))
{
	json_t *json = NULL;

	pthread_mutex_lock(&lock);
	if (question.posted && await_answer())
		json_decref(question.answer);
	if (question.report && !question.posted) {
		question.make = make;
		question.posted = true;
		rmnic_mailbox_post(question.report->backend->mailbox, &question.msg);
		if (await_answer())
			json = question.answer;
	}
	pthread_mutex_unlock(&lock);
	return json;
}

/* --- JSON to telemetry's own form ------------------------------------------------------------ */

static void put(struct rte_tel_data *d, const char *key, const json_t *value)
{
	char text[32];

	if (json_is_integer(value)) {
		rte_tel_data_add_dict_u64(d, key, (uint64_t)json_integer_value(value));
	} else if (json_is_real(value)) {
		snprintf(text, sizeof(text), "%.3f", json_real_value(value));
		rte_tel_data_add_dict_string(d, key, text);
	} else if (json_is_string(value)) {
		rte_tel_data_add_dict_string(d, key, json_string_value(value));
	}
}

static void put_object(struct rte_tel_data *d, json_t *object)
{
	const char *key, *inner;
	json_t *value, *part;
	char name[64];

	json_object_foreach(object, key, value) {
		put(d, key, value);
		if (json_is_object(value))
			json_object_foreach(value, inner, part) {
				snprintf(name, sizeof(name), "%s_%s", key, inner);
				put(d, name, part);
			}
	}
}

/* Names may have letters, digits, _ and / only; the true one is inside. */
static int list(json_t *json, const char *key, struct rte_tel_data *d)
{
	json_t *entry;
	size_t i;

	if (!json)
		return -EAGAIN;
	rte_tel_data_start_dict(d);
	json_array_foreach(json, i, entry) {
		struct rte_tel_data *inner = rte_tel_data_alloc();
		char name[64];

		if (!inner)
			break;
		snprintf(name, sizeof(name), "%s", json_string_value(json_object_get(entry, key)));
		for (char *c = name; *c; c++)
			if (!isalnum((unsigned char)*c))
				*c = '_';
		rte_tel_data_start_dict(inner);
		put_object(inner, entry);
		rte_tel_data_add_dict_container(d, name, inner, 0);
	}
	json_decref(json);
	return 0;
}

static int tel_devices(const char *cmd, const char *params, struct rte_tel_data *d)
{
	(void)cmd;
	(void)params;
	return list(ask(rmnic_report_devices), "uuid", d);
}

static int tel_servers(const char *cmd, const char *params, struct rte_tel_data *d)
{
	(void)cmd;
	(void)params;
	return list(ask(rmnic_report_servers), "address", d);
}

static int tel_stats(const char *cmd, const char *params, struct rte_tel_data *d)
{
	json_t *json = ask(rmnic_report_stats);

	(void)cmd;
	(void)params;
	if (!json)
		return -EAGAIN;
	rte_tel_data_start_dict(d);
	put_object(d, json);
	json_decref(json);
	return 0;
}

void rmnic_telemetry_open(struct rmnic_report *report)
{
	pthread_mutex_lock(&lock);
	question.report = report;
	question.msg.run = answer;
	sem_init(&question.done, 0, 0);
	pthread_mutex_unlock(&lock);
	if (rte_telemetry_register_cmd("/rmnic/devices", tel_devices, "The devices that are served.") ||
	    rte_telemetry_register_cmd("/rmnic/servers", tel_servers, "The memory servers.") ||
	    rte_telemetry_register_cmd("/rmnic/stats", tel_stats, "Counters of all devices."))
		rmnic_log_warn("DPDK's telemetry does not take the commands of rmnicd");
}

void rmnic_telemetry_close(void)
{
	/* Somebody who waits for this thread is answered first. */
	while (pthread_mutex_trylock(&lock))
		if (question.report)
			rmnic_mailbox_run(question.report->backend->mailbox);
	question.report = NULL;
	pthread_mutex_unlock(&lock);
}
