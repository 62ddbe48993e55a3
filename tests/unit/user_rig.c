/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* memfd_create */
#include "user_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/le.h"

char user_rig_text[RMNIC_USER_TEXT_MAX];
uint8_t user_rig_payload[RMNIC_USER_MAX_PAYLOAD];

int user_rig_open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

int user_rig_mapped_memfds(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "/memfd:") != NULL;
	fclose(f);
	return n;
}

/* --- The owner -------------------------------------------------------------------------------- */

void user_rig_answer(struct user_rig *rig)
{
	struct rmnic_user_enable_reply enable = { .error = rmnic_le32_put(rig->enable_error) };
	struct rmnic_user_device_reply device = { .reserved = rig->device.capacity };
	struct rmnic_user_capacity capacity = { .pages = rmnic_le64_put(rig->pages) };
	static const struct rmnic_stats stats = { .page_in_cmds = 5 };

	switch (rig->asked) {
	case RMNIC_USER_DEVICE:
		rmnic_user_conn_answer(rig->conn, &device, sizeof(device));
		break;
	case RMNIC_USER_ENABLE:
		rmnic_user_conn_answer(rig->conn, &enable, sizeof(enable));
		break;
	case RMNIC_USER_CAPACITY:
		rmnic_user_conn_answer(rig->conn, &capacity, sizeof(capacity));
		break;
	case RMNIC_USER_STATS:
		rmnic_user_conn_answer(rig->conn, &stats, sizeof(stats));
		break;
	default:
		rmnic_user_conn_answer(rig->conn, NULL, 0);
	}
}

static void asked(struct user_rig *rig, uint16_t type)
{
	rig->asked = type;
	rig->requests++;
	if (rig->destroys) {
		rmnic_user_conn_destroy(rig->conn, false);
		rig->conn = NULL;
	} else if (rig->refuse_with) {
		rmnic_user_conn_refuse(rig->conn, rig->refuse_with, rig->available, "as told");
	} else if (!rig->hold) {
		user_rig_answer(rig);
	}
}

static void keep_fd(struct user_rig *rig, int fd)
{
	assert_true(rig->nfds < RMNIC_USER_MAX_FDS);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC); /* USER-2 */
	rig->fds[rig->nfds++] = fd;
}

static void op_device(void *arg, const struct rmnic_user_device *device,
		      const struct rmnic_user_state *state)
{
	struct user_rig *rig = arg;

	rig->device = *device;
	rmnic_user_state_unmap(&rig->state);
	rig->state = *state;
	asked(rig, RMNIC_USER_DEVICE);
}

static void op_mem_add(void *arg, uint64_t addr, uint64_t size, uint64_t offset, int fd)
{
	struct user_rig *rig = arg;

	rig->addr = addr;
	rig->size = size;
	rig->offset = offset;
	keep_fd(rig, fd);
	asked(rig, RMNIC_USER_MEM_ADD);
}

static void op_mem_del(void *arg, uint64_t addr, uint64_t size)
{
	struct user_rig *rig = arg;

	rig->addr = addr;
	rig->size = size;
	asked(rig, RMNIC_USER_MEM_DEL);
}

static void op_kick(void *arg, int fd)
{
	keep_fd(arg, fd);
	asked(arg, RMNIC_USER_KICK);
}

static void op_call(void *arg, uint16_t first, uint16_t n, const int *fds)
{
	struct user_rig *rig = arg;

	rig->first = first;
	rig->count = n;
	for (unsigned int i = 0; i < n; i++)
		keep_fd(rig, fds[i]);
	asked(rig, RMNIC_USER_CALL);
}

static void op_enable(void *arg, const struct rmnic_user_enable *enable)
{
	struct user_rig *rig = arg;

	rig->enable = *enable;
	asked(rig, RMNIC_USER_ENABLE);
}

static void op_reset(void *arg)
{
	asked(arg, RMNIC_USER_RESET);
}

static void op_stop(void *arg, uint32_t drain_ms)
{
	((struct user_rig *)arg)->drain_ms = drain_ms;
	asked(arg, RMNIC_USER_STOP);
}

static void op_start(void *arg)
{
	asked(arg, RMNIC_USER_START);
}

static void op_capacity(void *arg, uint64_t pages)
{
	((struct user_rig *)arg)->pages = pages;
	asked(arg, RMNIC_USER_CAPACITY);
}

static void op_stats(void *arg)
{
	asked(arg, RMNIC_USER_STATS);
}

static void op_bye(void *arg)
{
	asked(arg, RMNIC_USER_BYE);
}

static void op_watch(void *arg, uint32_t events)
{
	((struct user_rig *)arg)->watched = events;
}

static void op_closed(void *arg, const char *why, bool front_gone, int pidfd)
{
	struct user_rig *rig = arg;

	rig->closings++;
	rig->conn = NULL;
	snprintf(rig->why, sizeof(rig->why), "%s", why);
	rig->front_gone = front_gone;
	rig->pidfd = pidfd;
	assert_true(!front_gone || pidfd < 0);
}

static const struct rmnic_user_conn_ops ops = {
	op_device, op_mem_add, op_mem_del, op_kick, op_call, op_enable, op_reset, op_stop,
	op_start, op_capacity, op_stats, op_bye, op_watch, op_closed,
};

/* --- Life ------------------------------------------------------------------------------------- */

static void start(struct user_rig *rig, int fd)
{
	struct rmnic_user_conn_config config = {
		.ops = &ops, .arg = rig, .device_features = 14, .name = "rig",
		.refused = rig->refused,
	};

	rig->pidfd = -1;
	rig->conn = rmnic_user_conn_create(fd, &config);
	assert_non_null(rig->conn);
	rig->watched = rmnic_user_conn_events(rig->conn);
	assert_int_equal(rig->watched, EPOLLIN);
}

void user_rig_start(struct user_rig *rig)
{
	int pair[2];

	memset(rig, 0, sizeof(*rig));
	rig->open_fds = user_rig_open_fds();
	rig->memfds = user_rig_mapped_memfds();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	rig->front = pair[0];
	start(rig, pair[1]);
}

void user_rig_start_on(struct user_rig *rig, int fd)
{
	memset(rig, 0, sizeof(*rig));
	rig->open_fds = user_rig_open_fds() - 1;
	rig->memfds = user_rig_mapped_memfds();
	rig->front = -1;
	start(rig, fd);
}

void user_rig_drop(struct user_rig *rig)
{
	while (rig->nfds)
		close(rig->fds[--rig->nfds]);
	rmnic_user_state_unmap(&rig->state);
	if (rig->pidfd >= 0)
		close(rig->pidfd);
	rig->pidfd = -1;
}

void user_rig_stop(struct user_rig *rig)
{
	if (rig->conn)
		rmnic_user_conn_destroy(rig->conn, false);
	user_rig_hang_up(rig);
	user_rig_drop(rig);
	assert_int_equal(user_rig_open_fds(), rig->open_fds);
	assert_int_equal(user_rig_mapped_memfds(), rig->memfds);
}

void user_rig_run(struct user_rig *rig)
{
	while (rig->conn) {
		uint32_t events = rmnic_user_conn_events(rig->conn);
		struct pollfd p = { .fd = rmnic_user_conn_fd(rig->conn) };

		/* The owner was told of each change. */
		assert_int_equal(events, rig->watched);
		p.events = (short)((events & EPOLLIN ? POLLIN : 0) |
				   (events & EPOLLOUT ? POLLOUT : 0));
		if (poll(&p, 1, 0) <= 0)
			return;
		rmnic_user_conn_ready(rig->conn);
	}
}

/* --- The front end ---------------------------------------------------------------------------- */

bool user_rig_send(struct user_rig *rig, const void *bytes, size_t len, const int *fds,
		   unsigned int nfds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(64 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = (struct cmsghdr *)control;

	if (nfds) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
	}
	return sendmsg(rig->front, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

void user_rig_hang_up(struct user_rig *rig)
{
	if (rig->front >= 0)
		close(rig->front);
	rig->front = -1;
}

bool user_rig_read(struct user_rig *rig, struct rmnic_user_msg *msg, void *payload)
{
	struct rmnic_user_hdr hdr;

	if (recv(rig->front, &hdr, sizeof(hdr), MSG_DONTWAIT) != sizeof(hdr))
		return false;
	assert_null(rmnic_user_hdr_get(&hdr, true, msg));
	if (msg->size)
		assert_int_equal(recv(rig->front, payload, msg->size, MSG_DONTWAIT), msg->size);
	return true;
}

size_t user_rig_put(uint8_t *out, uint16_t type, uint32_t seq, const void *payload, uint32_t size)
{
	const struct rmnic_user_msg m = { .type = type, .size = size, .seq = seq };
	struct rmnic_user_hdr hdr;

	rmnic_user_hdr_put(&hdr, &m);
	memcpy(out, &hdr, sizeof(hdr));
	if (size)
		memcpy(out + sizeof(hdr), payload, size);
	return sizeof(hdr) + size;
}

void user_rig_expect(struct user_rig *rig, uint16_t type, uint32_t seq, uint16_t status)
{
	struct rmnic_user_msg m;

	assert_true(user_rig_read(rig, &m, user_rig_payload));
	assert_int_equal(m.type, type);
	assert_int_equal(m.seq, seq);
	assert_int_equal(m.status, status);
}

void user_rig_expect_silence(struct user_rig *rig)
{
	struct rmnic_user_msg m;

	assert_false(user_rig_read(rig, &m, user_rig_payload));
}

int user_rig_ask(struct user_rig *rig, uint16_t type, const void *payload, uint32_t size,
		 const int *fds, unsigned int nfds)
{
	uint8_t out[sizeof(struct rmnic_user_hdr) + RMNIC_USER_MAX_PAYLOAD];
	size_t len = user_rig_put(out, type, ++rig->seq, payload, size);
	struct rmnic_user_msg msg;

	assert_true(user_rig_send(rig, out, len, fds, nfds));
	user_rig_run(rig);
	if (!user_rig_read(rig, &msg, user_rig_payload))
		return rig->conn ? -1 : -2;
	assert_int_equal(msg.type, type);
	assert_int_equal(msg.seq, rig->seq);
	if (type < RMNIC_USER_REQUESTS)
		assert_null(rmnic_user_reply_check(&msg, user_rig_payload, type, rig->seq));
	if (msg.status)
		memcpy(user_rig_text, user_rig_payload, sizeof(user_rig_text));
	return msg.status;
}

/* --- What is passed --------------------------------------------------------------------------- */

struct rmnic_user_device user_rig_device(void)
{
	struct rmnic_user_device device;
	struct user_vector *vectors;
	unsigned int n = user_vectors_load(&vectors);

	memcpy(&device,
	       user_vectors_find(vectors, n, "device")->bytes + sizeof(struct rmnic_user_hdr),
	       sizeof(device));
	free(vectors);
	return device;
}

int user_rig_memfd(uint64_t size, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

int user_rig_state(const struct rmnic_user_device *device)
{
	uint64_t size = rmnic_le64_get(device->state_size);
	int fd = user_rig_memfd(size, F_SEAL_SHRINK | F_SEAL_GROW);
	struct rmnic_state_shape shape;
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(map != MAP_FAILED);
	rmnic_user_device_shape(device, &shape);
	rmnic_state_format(map, &shape);
	munmap(map, size);
	return fd;
}

int user_rig_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

void user_rig_hello(struct user_rig *rig)
{
	struct rmnic_user_hello hello = { .version_min = rmnic_le16_put(1),
					  .version_max = rmnic_le16_put(1) };

	assert_int_equal(user_rig_ask(rig, RMNIC_USER_HELLO, &hello, sizeof(hello), NULL, 0),
			 RMNIC_USER_S_OK);
}

void user_rig_set_up(struct user_rig *rig)
{
	struct rmnic_user_device device = user_rig_device();
	int fd = user_rig_state(&device);

	user_rig_hello(rig);
	assert_int_equal(user_rig_ask(rig, RMNIC_USER_DEVICE, &device, sizeof(device), &fd, 1),
			 RMNIC_USER_S_OK);
	close(fd);
}
