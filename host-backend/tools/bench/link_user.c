/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A backend process by rmnic-user, as QEMU would have it: memory, state block, eventfds, and the
 * change from a backend that died to its successor (spec/user.md).
 */
#include "tools/bench/link.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/le.h"
#include "tools/bench/arrival.h"
#include "tools/bench/state.h"
#include "user/front.h"

#define VECTORS       8   /* at most; of a message's fds */
#define LOOK_EVERY    256 /* turns between two looks at the socket */

struct user {
	struct bench_link link;
	const struct bench_guest *guest;
	struct bench_shape shape;
	char path[108];
	int timeout_ms;
	struct rmnic_user_front *front;
	int pidfd; /* of the process at the other end */
	pid_t pid;
	struct bench_state state;
	int kick_fd, call_fd[VECTORS];
	struct rmnic_user_enable enable;
	unsigned int turns;
};

static int request(struct user *user, uint16_t type, const char *what, const void *payload,
		   uint32_t size, const int *fds, unsigned int nfds, void *reply,
		   uint32_t reply_size, struct rmnic_error *err)
{
	struct rmnic_error why = { "" };
	uint64_t available = 0;
	int status = rmnic_user_front_request(user->front, type, payload, size, fds, nfds, reply,
					      reply_size, &available, &why);

	if (status == RMNIC_USER_S_OK)
		return 0;
	if (status == RMNIC_USER_S_NO_SPACE)
		return rmnic_error_set(err, "%s was refused: %s (%llu pages could be had)", what,
				       why.text, (unsigned long long)available);
	return rmnic_error_set(err, "%s %s: %s", what, status < 0 ? "failed" : "was refused", why.text);
}

/* --- Handing the device over ------------------------------------------------------------------------- */

/* The other end's pidfd, while the socket is open and so the process is known to be that one. */
static int peer_open(struct user *user, struct rmnic_error *err)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(rmnic_user_front_fd(user->front), SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return rmnic_error_set(err, "SO_PEERCRED: %s", strerror(errno));
	user->pid = cred.pid;
	user->pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	return user->pidfd < 0 ? rmnic_error_set(err, "pidfd of %d: %s", (int)cred.pid, strerror(errno)) : 0;
}

static int hand_over_device(struct user *user, struct rmnic_error *err)
{
	struct rmnic_user_device device;
	struct rmnic_user_device_reply reply;

	/* USER-5: nobody else writes to the memory now, and the epoch is a new one. */
	bench_state_device(&user->state, &user->shape, ++user->link.epoch, user->link.features, &device);
	return request(user, RMNIC_USER_DEVICE, "the device", &device, sizeof(device), &user->state.fd,
		       1, &reply, sizeof(reply), err);
}

static int hand_over_rest(struct user *user, struct rmnic_error *err)
{
	struct rmnic_user_region region = {
		.addr = rmnic_le64_put(BENCH_GUEST_BASE),
		.size = rmnic_le64_put(user->guest->size),
	};
	struct rmnic_user_call call = { .count = rmnic_le16_put(user->shape.vectors) };

	if (request(user, RMNIC_USER_MEM_ADD, "the guest's memory", &region, sizeof(region),
		    &user->guest->fd, 1, NULL, 0, err) ||
	    request(user, RMNIC_USER_KICK, "the doorbell", NULL, 0, &user->kick_fd, 1, NULL, 0, err))
		return -1;
	return request(user, RMNIC_USER_CALL, "the interrupts", &call, sizeof(call), user->call_fd,
		       user->shape.vectors, NULL, 0, err);
}

static int attach(struct user *user, struct rmnic_error *err)
{
	struct rmnic_user_hello_reply hello;

	user->front = rmnic_user_front_open(user->path, user->timeout_ms, &hello, err);
	if (!user->front || peer_open(user, err))
		return -1;
	memcpy(user->link.backend, hello.name, sizeof(hello.name));
	if (!user->link.epoch) {
		user->link.features = rmnic_le64_get(hello.device_features);
	} else if (user->link.features & ~rmnic_le64_get(hello.device_features)) {
		return rmnic_error_set(err, "the successor lacks a feature of its predecessor (USER-8)");
	}
	return hand_over_device(user, err) || hand_over_rest(user, err) ? -1 : 0;
}

static void detach(struct user *user)
{
	if (user->front)
		rmnic_user_front_close(user->front);
	if (user->pidfd >= 0)
		close(user->pidfd);
	user->front = NULL;
	user->pidfd = -1;
}

static int send_enable(struct user *user, struct rmnic_error *err)
{
	struct rmnic_user_enable_reply reply;

	if (request(user, RMNIC_USER_ENABLE, "enabling", &user->enable, sizeof(user->enable), NULL, 0,
		    &reply, sizeof(reply), err))
		return -1;
	return reply.error ? rmnic_error_set(err, "the device refused to be enabled: error %u",
					     rmnic_le32_get(reply.error)) : 0;
}

/* --- The link ---------------------------------------------------------------------------------------------- */

static int user_enable(struct bench_link *link, const struct bench_enabling *e,
		       struct rmnic_error *err)
{
	struct user *user = (struct user *)link;

	user->enable = (struct rmnic_user_enable){
		.drv_features = rmnic_le64_put(e->features),
		.aq_sq = rmnic_le64_put(e->sq),
		.aq_cq = rmnic_le64_put(e->cq),
		.aq_rec = rmnic_le64_put(e->rec),
		.aq_depth = rmnic_le32_put(e->depth),
		.generation = rmnic_le32_put(rmnic_le32_get(user->enable.generation) + 1),
	};
	return send_enable(user, err);
}

static void user_kick(struct bench_link *link)
{
	uint64_t one = 1;

	if (write(((struct user *)link)->kick_fd, &one, sizeof(one)) != sizeof(one))
		perror("rmnic-bench: doorbell");
}

/* Notices are left unread: the only ones are of a device that is lost anyway. */
static bool hung_up(struct user *user)
{
	struct pollfd poll_fd = { .fd = rmnic_user_front_fd(user->front), .events = POLLRDHUP };

	return poll(&poll_fd, 1, 0) > 0;
}

static bool user_turn(struct bench_link *link)
{
	struct user *user = (struct user *)link;

	return ++user->turns % LOOK_EVERY || !hung_up(user);
}

static void user_sleep(struct bench_link *link, int timeout_ms)
{
	struct user *user = (struct user *)link;
	struct pollfd fds[VECTORS + 1];
	uint64_t count;

	for (int i = 0; i < user->shape.vectors; i++)
		fds[i] = (struct pollfd){ .fd = user->call_fd[i], .events = POLLIN };
	fds[user->shape.vectors] = (struct pollfd){ .fd = rmnic_user_front_fd(user->front),
						    .events = POLLRDHUP };
	if (poll(fds, user->shape.vectors + 1u, timeout_ms) <= 0)
		return;
	for (int i = 0; i < user->shape.vectors; i++) {
		if ((fds[i].revents & POLLIN) && read(fds[i].fd, &count, sizeof(count)) < 0)
			continue; /* somebody else's read came first: nothing is lost */
	}
	if (fds[user->shape.vectors].revents)
		user->turns = LOOK_EVERY - 1; /* the next turn looks */
}

/* USER-19: the old process must be dead, not merely silent. */
static int await_death(struct user *user, struct rmnic_error *err)
{
	struct pollfd dead = { .fd = user->pidfd, .events = POLLIN };

	if (poll(&dead, 1, user->timeout_ms) > 0)
		return 0;
	fprintf(stderr, "rmnic-bench: backend %d closed its socket and lives on: it is killed\n",
		(int)user->pid);
	syscall(SYS_pidfd_send_signal, user->pidfd, SIGKILL, NULL, 0);
	if (poll(&dead, 1, user->timeout_ms) > 0)
		return 0;
	return rmnic_error_set(err, "backend %d does not die", (int)user->pid);
}

/* A successor may die as well before it has taken everything: then the next one is waited for. */
static int user_revive(struct bench_link *link, struct rmnic_error *err)
{
	struct user *user = (struct user *)link;
	struct rmnic_error why = { "" };
	bool lost;

	do {
		if (user->pidfd >= 0 && await_death(user, err))
			return -1;
		detach(user);
		if (bench_arrival_wait(user->path, user->timeout_ms, err))
			return -1;
		if (!attach(user, &why) && !send_enable(user, &why)) {
			user->turns = 0;
			return 0;
		}
		lost = !user->front || hung_up(user);
	} while (lost);
	return rmnic_error_set(err, "%s", why.text);
}

static int user_stats(struct bench_link *link, struct rmnic_stats *out, struct rmnic_error *err)
{
	return request((struct user *)link, RMNIC_USER_STATS, "statistics", NULL, 0, NULL, 0, out,
		       sizeof(*out), err);
}

static void user_close(struct bench_link *link)
{
	struct user *user = (struct user *)link;
	struct rmnic_error err;

	if (user->front && user->link.epoch && !hung_up(user) &&
	    request(user, RMNIC_USER_BYE, "good-bye", NULL, 0, NULL, 0, NULL, 0, &err))
		fprintf(stderr, "rmnic-bench: %s\n", err.text);
	detach(user);
	bench_state_destroy(&user->state);
	for (int i = 0; i < VECTORS; i++) {
		if (user->call_fd[i] >= 0)
			close(user->call_fd[i]);
	}
	if (user->kick_fd >= 0)
		close(user->kick_fd);
	free(user);
}

static const struct bench_link_ops user_ops = {
	.enable = user_enable,
	.kick = user_kick,
	.turn = user_turn,
	.sleep = user_sleep,
	.revive = user_revive,
	.stats = user_stats,
	.close = user_close,
};

/* What the front end holds for its backends. */
static int make_state(struct user *user, struct rmnic_error *err)
{
	if (bench_state_create(&user->state, &user->shape, err))
		return -1;
	user->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (int i = 0; i < user->shape.vectors; i++)
		user->call_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (user->kick_fd < 0 || user->call_fd[user->shape.vectors - 1] < 0)
		return rmnic_error_set(err, "eventfd: %s", strerror(errno));
	return 0;
}

struct bench_link *bench_link_user(const char *path, const struct bench_shape *shape,
				   const struct bench_guest *guest, int timeout_ms,
				   struct rmnic_error *err)
{
	struct user *user = calloc(1, sizeof(*user));

	if (!user) {
		rmnic_error_set(err, "out of memory");
		return NULL;
	}
	*user = (struct user){
		.link = { .ops = &user_ops, .kind = "user" },
		.guest = guest,
		.shape = *shape,
		.timeout_ms = timeout_ms,
		.pidfd = -1,
		.state = { .fd = -1 },
		.kick_fd = -1,
	};
	for (int i = 0; i < VECTORS; i++)
		user->call_fd[i] = -1;
	if (strlen(path) >= sizeof(user->path)) {
		rmnic_error_set(err, "--socket %s: a socket's path has at most %zu characters", path,
				sizeof(user->path) - 1);
	} else {
		memcpy(user->path, path, strlen(path) + 1);
		if (!make_state(user, err) && !attach(user, err))
			return &user->link;
	}
	user_close(&user->link);
	return NULL;
}
