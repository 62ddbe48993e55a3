/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_user_backend.c - the backend's end of rmnic-user against a hostile front end, driven by
 * libFuzzer.
 *
 * The input is a program: bytes and file descriptors of all kinds are sent, requests are made
 * whose fields are nearly right, the state block is scribbled on, and the owner answers,
 * refuses, or lets wait. What must hold (USER-1):
 *   - no access outside of a message (the sanitizer),
 *   - each answer is one that a front end takes,
 *   - the owner is asked one thing at a time, and never again after closed(),
 *   - in the end no file descriptor is left open and nothing is left mapped.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "engine/le.h"
#include "engine/user_msg.h"
#include "program.h"
#include "user/conn.h"
#include "user/memory.h"

#define CHECK(x) ((x) ? (void)0 : abort())
#define KINDS    8
#define SEALS    (F_SEAL_SHRINK | F_SEAL_GROW)

static int kinds[KINDS]; /* descriptors to pass */
static uint8_t *state_block;
static struct rmnic_user_device device;

static struct rmnic_user_conn *conn;
static struct rmnic_guest_memory memory;
static struct rmnic_user_state held_state;
static int front;
static uint16_t pending; /* type of the request that waits for its answer */
static uint32_t seq;
static uint64_t refused[RMNIC_USER_S_COUNT];

/* --- The owner -------------------------------------------------------------------------------- */

static void answer(void)
{
	static const uint8_t zeros[sizeof(struct rmnic_stats)];
	struct rmnic_user_device_reply reserved = { .reserved = device.capacity };
	uint16_t type = pending, status;
	uint64_t how = take(1);

	if (!pending || !conn)
		return;
	pending = 0;
	if (how < 200) {
		const void *payload = type == RMNIC_USER_DEVICE ? (const void *)&reserved : zeros;

		rmnic_user_conn_answer(conn, payload, rmnic_user_reply_size(type));
		return;
	}
	status = (uint16_t)(1 + how % (RMNIC_USER_S_COUNT - 1));
	rmnic_user_conn_refuse(conn, status, status == RMNIC_USER_S_NO_SPACE ? how : 0, "no");
}

static void asked(uint16_t type)
{
	uint64_t when = take(1);

	CHECK(!pending);
	pending = type;
	if (when == 255) {
		pending = 0;
		rmnic_user_conn_destroy(conn, when & 1);
		conn = NULL;
	} else if (when < 200) {
		answer();
	}
}

static void op_device(void *arg, const struct rmnic_user_device *d,
		      const struct rmnic_user_state *state)
{
	(void)arg;
	(void)d;
	rmnic_user_state_unmap(&held_state);
	held_state = *state;
	CHECK(((volatile uint8_t *)state->map)[state->size - 1] + 1);
	asked(RMNIC_USER_DEVICE);
}

static void op_mem_add(void *arg, uint64_t addr, uint64_t size, uint64_t offset, int fd)
{
	struct rmnic_guest_region region;
	struct rmnic_error err;
	uint16_t status = rmnic_guest_region_prepare(&region, addr, size, offset, fd, &err);

	(void)arg;
	close(fd);
	if (status == RMNIC_USER_S_OK) {
		status = rmnic_guest_memory_insert(&memory, &region);
		if (status != RMNIC_USER_S_OK)
			rmnic_guest_region_unmap(&region);
	}
	if (status != RMNIC_USER_S_OK)
		rmnic_user_conn_refuse(conn, status, 0, "no such region");
	else
		asked(RMNIC_USER_MEM_ADD);
}

static void op_mem_del(void *arg, uint64_t addr, uint64_t size)
{
	struct rmnic_guest_region *region = rmnic_guest_memory_find(&memory, addr, size), out;

	(void)arg;
	if (region) {
		rmnic_guest_memory_remove(&memory, region, &out);
		rmnic_guest_region_unmap(&out);
	}
	asked(RMNIC_USER_MEM_DEL);
}

static void op_kick(void *arg, int fd)
{
	(void)arg;
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	asked(RMNIC_USER_KICK);
}

static void op_call(void *arg, uint16_t first, uint16_t count, const int *fds)
{
	(void)arg;
	CHECK(count && count <= RMNIC_USER_MAX_FDS && first + count <= device.vectors);
	for (unsigned int i = 0; i < count; i++)
		close(fds[i]);
	asked(RMNIC_USER_CALL);
}

static void op_enable(void *arg, const struct rmnic_user_enable *enable)
{
	(void)arg;
	CHECK(enable->generation);
	asked(RMNIC_USER_ENABLE);
}

static void op_stop(void *arg, uint32_t drain_ms)
{
	(void)arg;
	(void)drain_ms;
	asked(RMNIC_USER_STOP);
}

static void op_capacity(void *arg, uint64_t pages)
{
	(void)arg;
	CHECK(pages <= device.max_capacity);
	asked(RMNIC_USER_CAPACITY);
}

#define PLAIN(name, type)              \
	static void op_##name(void *arg) \
	{                                \
		(void)arg;               \
		asked(type);             \
	}
PLAIN(reset, RMNIC_USER_RESET)
PLAIN(start, RMNIC_USER_START)
PLAIN(stats, RMNIC_USER_STATS)
PLAIN(bye, RMNIC_USER_BYE)

static void op_closed(void *arg, const char *why, bool front_gone, int pidfd)
{
	(void)arg;
	CHECK(conn && why[0] && !front_gone);
	if (pidfd >= 0)
		close(pidfd);
	conn = NULL;
	pending = 0;
}

static const struct rmnic_user_conn_ops ops = {
	op_device, op_mem_add, op_mem_del, op_kick, op_call, op_enable, op_reset, op_stop,
	op_start, op_capacity, op_stats, op_bye, NULL, op_closed,
};

/* --- The front end ---------------------------------------------------------------------------- */

static void run_backend(void)
{
	while (conn) {
		uint32_t events = rmnic_user_conn_events(conn);
		struct pollfd p = { .fd = rmnic_user_conn_fd(conn) };

		CHECK(!pending || !(events & EPOLLIN));
		p.events = (short)((events & EPOLLIN ? POLLIN : 0) |
				   (events & EPOLLOUT ? POLLOUT : 0));
		if (poll(&p, 1, 0) <= 0)
			return;
		rmnic_user_conn_ready(conn);
	}
}

/* Whatever it says, a front end takes it. */
static void read_answers(void)
{
	static uint8_t payload[RMNIC_USER_MAX_PAYLOAD];
	struct rmnic_user_hdr hdr;
	struct rmnic_user_msg msg;
	ssize_t n;

	while (recv(front, &hdr, sizeof(hdr), MSG_DONTWAIT | MSG_PEEK) == sizeof(hdr)) {
		CHECK(!rmnic_user_hdr_get(&hdr, true, &msg));
		n = recv(front, &hdr, sizeof(hdr), MSG_DONTWAIT);
		CHECK(n == sizeof(hdr));
		n = msg.size ? recv(front, payload, msg.size, MSG_DONTWAIT) : 0;
		if (n != msg.size)
			return; /* the rest never fitted into the socket */
		if (msg.type && msg.type < RMNIC_USER_REQUESTS)
			CHECK(!rmnic_user_reply_check(&msg, payload, msg.type, msg.seq));
	}
}

static void send_bytes(const void *bytes, size_t len, unsigned int nfds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(20 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = (struct cmsghdr *)control;

	if (front < 0 || !len)
		return;
	if (nfds) {
		uint64_t mixed = take(1);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		for (unsigned int i = 0; i < nfds; i++)
			((int *)(void *)CMSG_DATA(c))[i] =
				kinds[(mixed & 128 && i ? take(1) : mixed) % KINDS];
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
	}
	sendmsg(front, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A request that is right, but for what the program changes in it. */
static void made_request(void)
{
	struct {
		struct rmnic_user_hdr hdr;
		union {
			uint8_t bytes[128];
			struct rmnic_user_hello hello;
			struct rmnic_user_device device;
			struct rmnic_user_region region;
			struct rmnic_user_call call;
			struct rmnic_user_enable enable;
			struct rmnic_user_capacity capacity;
		} p;
	} out = { 0 };
	static const uint8_t sizes[RMNIC_USER_REQUESTS] = { 0, 16, 128, 32, 32, 0,
							    8, 48, 0, 8, 0, 8 };
	static const uint8_t fds[RMNIC_USER_REQUESTS] = { 0, 0, 1, 1, 0, 1, 1 };
	struct rmnic_user_msg msg = { .type = (uint16_t)(take(1) % (RMNIC_USER_REQUESTS + 1)),
				      .seq = ++seq };
	unsigned int nfds = msg.type < RMNIC_USER_REQUESTS ? fds[msg.type] : 0;
	uint64_t lies = take(1);

	msg.size = msg.type < RMNIC_USER_REQUESTS ? sizes[msg.type] : 0;
	switch (msg.type) {
	case RMNIC_USER_HELLO:
		out.p.hello = (struct rmnic_user_hello){ 1, 1, 0, 0 };
		break;
	case RMNIC_USER_DEVICE:
		out.p.device = device;
		break;
	case RMNIC_USER_MEM_ADD:
		out.p.region.offset = take(1) % 8 * 4096;
		/* fall through */
	case RMNIC_USER_MEM_DEL:
		out.p.region.addr = take(1) * 4096;
		out.p.region.size = take(1) % 8 * 4096;
		break;
	case RMNIC_USER_CALL:
		nfds = (unsigned int)take(1) % 20;
		out.p.call = (struct rmnic_user_call){ (uint16_t)take(1), (uint16_t)nfds, 0 };
		break;
	case RMNIC_USER_ENABLE:
		out.p.enable.generation = 1;
		break;
	case RMNIC_USER_CAPACITY:
		out.p.capacity.pages = take(1);
		break;
	}
	for (uint64_t i = 0; i < lies % 4; i++)
		out.p.bytes[take(1) % sizeof(out.p.bytes)] ^= (uint8_t)take(1);
	if (lies & 64)
		nfds = (unsigned int)take(1) % 20;
	if (lies & 128)
		msg.size = (uint32_t)take(1) % sizeof(out.p.bytes);
	rmnic_user_hdr_put(&out.hdr, &msg);
	send_bytes(&out, sizeof(out.hdr) + msg.size, nfds);
}

/* USER-10: what is translated can be written, first byte and last. */
static void use_memory(void)
{
	uint64_t addr = take(1) * 4096 + take(2) % 8192;
	uint32_t len = (uint32_t)take(2);
	struct rmnic_mapping m;

	if (!rmnic_guest_memory_map(&memory, addr, len, true, &m))
		return;
	((volatile uint8_t *)m.ptr)[0] = 1;
	((volatile uint8_t *)m.ptr)[len - 1] = 1;
	rmnic_guest_memory_unmap(&memory, &m);
}

static void step(void)
{
	uint8_t raw[512];
	uint32_t len;

	switch (take(1) % 12) {
	case 0:
	case 1:
		len = (uint32_t)take(2) % sizeof(raw);
		for (uint32_t i = 0; i < len; i++)
			raw[i] = (uint8_t)take(1);
		send_bytes(raw, len, (unsigned int)take(1) % 3);
		break;
	case 2:
		answer();
		break;
	case 3:
		if (conn)
			rmnic_user_conn_fatal(conn, 1 + (uint32_t)take(1) % 8, (uint32_t)take(1));
		break;
	case 4:
		state_block[take(1)] ^= (uint8_t)take(1);
		break;
	case 5:
		if (take(1) == 1 && front >= 0) {
			close(front);
			front = -1;
		}
		break;
	case 6:
		read_answers();
		use_memory();
		break;
	default:
		made_request();
	}
	if (take(1) & 1)
		run_backend();
}

/* --- Life ------------------------------------------------------------------------------------- */

static int memfd(uint64_t size, int seals)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static void prepare(void)
{
	struct rmnic_state_shape shape;

	rmnic_log_level_set(RMNIC_LOG_ERROR);
	device = (struct rmnic_user_device){
		.uuid = { 1 }, .capacity = 32, .max_capacity = 64, .slab_pages = 16,
		.max_qpairs = 2, .max_depth = 2, .vectors = 5, .epoch = 1, .serial = "fuzz",
	};
	rmnic_user_device_shape(&device, &shape);
	device.state_size = rmnic_state_size(&shape);
	kinds[0] = memfd(device.state_size, SEALS);
	state_block = mmap(NULL, device.state_size, PROT_READ | PROT_WRITE, MAP_SHARED, kinds[0],
			   0);
	CHECK(state_block != MAP_FAILED);
	kinds[1] = eventfd(0, EFD_CLOEXEC);
	kinds[2] = memfd(8 * 4096, SEALS);
	kinds[3] = memfd(8 * 4096, 0);
	kinds[4] = memfd(device.state_size, F_SEAL_SHRINK);
	kinds[5] = memfd(device.state_size, SEALS | F_SEAL_FUTURE_WRITE);
	kinds[6] = open("/dev/null", O_RDWR | O_CLOEXEC);
	kinds[7] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* The lowest number that is free: higher than before if something was left open. */
static int lowest_fd(void)
{
	int fd = dup(kinds[6]);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rmnic_user_conn_config config = { .ops = &ops, .device_features = 14,
						 .name = "fuzz", .refused = refused };
	struct rmnic_state_shape shape;
	int pair[2], before;

	if (!state_block)
		prepare();
	before = lowest_fd();
	program_begin(data, size);
	rmnic_user_device_shape(&device, &shape);
	rmnic_state_format(state_block, &shape);
	seq = 0;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	front = pair[0];
	conn = rmnic_user_conn_create(pair[1], &config);
	CHECK(conn);
	while (program_left())
		step();
	run_backend();
	if (conn)
		rmnic_user_conn_destroy(conn, true);
	conn = NULL;
	pending = 0;
	if (front >= 0) {
		read_answers();
		close(front);
	}
	rmnic_guest_memory_clear(&memory);
	rmnic_user_state_unmap(&held_state);
	CHECK(lowest_fd() == before);
	return 0;
}
