/* SPDX-License-Identifier: BSD-3-Clause */
/* The child's side: what a backend does, and what one does that is broken. */
#include "backend.h"

#include "qemu/atomic.h"
#include "qemu/bswap.h"

#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#ifndef F_GET_SEALS
#define F_GET_SEALS (1024 + 10)
#endif
#ifndef F_SEAL_SHRINK
#define F_SEAL_SHRINK 0x0002
#endif

/* What the child knows; one connection at a time. */
static struct Child {
    Plan *plan;
    int listener, conn, wake, kick;
    int call[RMNIC_USER_MAX_VECTORS];
    uint8_t *base[RMNIC_USER_MAX_REGIONS]; /* of plan->region */
    void *block;
    uint64_t block_size;
    bool entrusted;
    bool dma;                              /* under dma_lock */
    uint64_t left, fataled, interrupted;   /* of the plan, as done */
} child;

static pthread_mutex_t dma_lock = PTHREAD_MUTEX_INITIALIZER;

typedef struct Message {
    struct rmnic_user_hdr hdr;
    uint8_t payload[RMNIC_USER_MAX_PAYLOAD] __attribute__((aligned(8)));
    int fds[RMNIC_USER_MAX_FDS];
    unsigned nfds;
} Message;

/* The front end may not be wrong: the test looks at this in the end. */
#define EXPECT(cond)                              \
    do {                                          \
        if (!(cond) && !child.plan->trouble) {    \
            child.plan->trouble = __LINE__;       \
        }                                         \
    } while (0)

/* --- Sending ------------------------------------------------------------------------------------- */

static void say(uint16_t type, uint16_t flags, uint32_t seq, uint16_t status, const void *payload,
                uint32_t size)
{
    struct rmnic_user_hdr hdr = {
        .magic = cpu_to_le32(RMNIC_USER_MAGIC),
        .type = cpu_to_le16(type),
        .flags = cpu_to_le16(flags),
        .size = cpu_to_le32(size),
        .seq = cpu_to_le32(seq),
        .status = cpu_to_le16(status),
    };
    struct iovec iov[2] = { { &hdr, sizeof(hdr) }, { (void *)payload, size } };
    struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

    sendmsg(child.conn, &mh, MSG_NOSIGNAL);
}

static void say_with_fd(const void *bytes, size_t size)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { };
    struct iovec iov = { (void *)bytes, size };
    struct msghdr mh = {
        .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes),
    };
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&mh);
    int fd = child.wake;

    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
    sendmsg(child.conn, &mh, MSG_NOSIGNAL);
}

static void flood(void)
{
    struct rmnic_user_fatal fatal = { .error = cpu_to_le32(RMNIC_ERR_INTERNAL) };

    /* Generation 0 is nobody's: each one is ignored. */
    for (int i = 0; i < 1000; i++) {
        say(RMNIC_USER_FATAL, RMNIC_USER_F_NOTICE, 0, 0, &fatal, sizeof(fatal));
    }
}

/* The right reply, and what is to be wrong with it. */
static void lie(const Message *msg, const void *payload, uint32_t size)
{
    struct {
        struct rmnic_user_hdr hdr;
        uint8_t payload[RMNIC_USER_MAX_PAYLOAD];
    } reply = { .hdr = msg->hdr };
    size_t len = sizeof(reply.hdr) + size;
    struct rmnic_user_fatal fatal = { .error = cpu_to_le32(99) };

    reply.hdr.flags = cpu_to_le16(RMNIC_USER_F_REPLY);
    reply.hdr.size = cpu_to_le32(size);
    if (size) {
        memcpy(reply.payload, payload, size);
    }
    switch (child.plan->lie) {
    case LIE_MAGIC: reply.hdr.magic++; break;
    case LIE_RESERVED: reply.hdr.rsvd[3] = 1; break;
    case LIE_TYPE: reply.hdr.type = cpu_to_le16(RMNIC_USER_START); break;
    case LIE_SEQ: reply.hdr.seq++; break;
    case LIE_FLAGS: reply.hdr.flags = cpu_to_le16(RMNIC_USER_F_REPLY | 0x8000); break;
    case LIE_STATUS: reply.hdr.status = cpu_to_le16(RMNIC_USER_S_COUNT); break;
    case LIE_LONG: reply.hdr.size = cpu_to_le32(UINT32_MAX); break;
    case LIE_LENGTH: reply.hdr.size = cpu_to_le32(size + 8); len += 8; break;
    case LIE_TWICE: send(child.conn, &reply, len, MSG_NOSIGNAL); break;
    case LIE_FDS: say_with_fd(&reply, len); return;
    case LIE_NOTICE: say(99, RMNIC_USER_F_NOTICE, 0, 0, NULL, 0); break;
    case LIE_FATAL: say(RMNIC_USER_FATAL, RMNIC_USER_F_NOTICE, 0, 0, &fatal, sizeof(fatal)); break;
    case LIE_FLOOD: flood(); break;
    case LIE_CUT: send(child.conn, &reply, len - 1, MSG_NOSIGNAL); _exit(0);
    case LIE_PID:
        if (fork() == 0) {
            send(child.conn, &reply, len, MSG_NOSIGNAL);
            _exit(0);
        }
        wait(NULL);
        return;
    }
    send(child.conn, &reply, len, MSG_NOSIGNAL);
}

static void answer(const Message *msg, const void *payload, uint32_t size)
{
    if (child.plan->lie && le16_to_cpu(msg->hdr.type) == child.plan->lie_at) {
        lie(msg, payload, size);
    } else {
        say(le16_to_cpu(msg->hdr.type), RMNIC_USER_F_REPLY, le32_to_cpu(msg->hdr.seq),
            RMNIC_USER_S_OK, payload, size);
    }
}

static void refuse(const Message *msg)
{
    struct rmnic_user_error error = { .available = cpu_to_le64(child.plan->available) };

    memcpy(error.text, child.plan->refuse_text, sizeof(error.text));
    say(le16_to_cpu(msg->hdr.type), RMNIC_USER_F_REPLY, le32_to_cpu(msg->hdr.seq),
        child.plan->refuse_status, &error, sizeof(error));
}

/* When it returns after taking it away, the scribbler writes no more. */
static void set_dma(bool on)
{
    pthread_mutex_lock(&dma_lock);
    child.dma = on;
    pthread_mutex_unlock(&dma_lock);
}

/* --- Requests ------------------------------------------------------------------------------------- */

static void check_sealed(int fd, uint64_t size)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0 || st.st_size < size) {
        child.plan->unsealed++;
    }
}

static void on_device(const Message *msg)
{
    const struct rmnic_user_device *device = (const void *)msg->payload;
    struct rmnic_user_device_reply reply = { .command_timeout_ms = cpu_to_le32(7000) };
    Plan *plan = child.plan;

    EXPECT(msg->nfds == 1 && plan->seen[RMNIC_USER_HELLO]);
    child.block_size = le64_to_cpu(device->state_size);
    check_sealed(msg->fds[0], child.block_size);
    child.block = mmap(NULL, child.block_size, PROT_READ | PROT_WRITE, MAP_SHARED, msg->fds[0], 0);
    EXPECT(child.block != MAP_FAILED);
    /* The epoch's place in the header: spec/state.md. */
    plan->block_epoch = ldl_le_p((uint8_t *)child.block + 52);
    plan->epoch = le32_to_cpu(device->epoch);
    plan->capacity = le64_to_cpu(device->capacity);
    plan->features = le64_to_cpu(device->features);
    child.entrusted = true;
    reply.reserved = cpu_to_le64(plan->capacity - plan->short_of);
    answer(msg, &reply, sizeof(reply));
}

static void on_mem_add(const Message *msg)
{
    const struct rmnic_user_region *region = (const void *)msg->payload;
    Plan *plan = child.plan;
    uint64_t size = le64_to_cpu(region->size), offset = le64_to_cpu(region->offset);
    unsigned i = 0;

    EXPECT(msg->nfds == 1 && child.entrusted);
    while (i < RMNIC_USER_MAX_REGIONS && plan->region[i].size) {
        i++;
    }
    EXPECT(i < RMNIC_USER_MAX_REGIONS);
    check_sealed(msg->fds[0], offset + size);
    child.base[i] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, msg->fds[0], offset);
    EXPECT(child.base[i] != MAP_FAILED);
    plan->region[i] = *region;
    answer(msg, NULL, 0);
}

static void on_mem_del(const Message *msg)
{
    const struct rmnic_user_region *region = (const void *)msg->payload;
    Plan *plan = child.plan;
    unsigned i = 0;

    while (i < RMNIC_USER_MAX_REGIONS && (plan->region[i].addr != region->addr ||
                                          plan->region[i].size != region->size)) {
        i++;
    }
    EXPECT(i < RMNIC_USER_MAX_REGIONS && !msg->nfds && !region->offset);
    pthread_mutex_lock(&dma_lock);
    munmap(child.base[i], le64_to_cpu(region->size));
    plan->region[i] = (struct rmnic_user_region) { };
    pthread_mutex_unlock(&dma_lock);
    answer(msg, NULL, 0);
}

static void on_call(const Message *msg)
{
    const struct rmnic_user_call *call = (const void *)msg->payload;
    uint16_t first = le16_to_cpu(call->first), count = le16_to_cpu(call->count);

    EXPECT(count && count == msg->nfds && first + count <= RMNIC_USER_MAX_VECTORS);
    for (unsigned i = 0; i < count; i++) {
        child.call[first + i] = dup(msg->fds[i]);
    }
    child.plan->vectors = first + count;
    answer(msg, NULL, 0);
}

static void on_enable(const Message *msg)
{
    const struct rmnic_user_enable *enable = (const void *)msg->payload;
    struct rmnic_user_enable_reply reply = { .error = cpu_to_le32(child.plan->error) };

    EXPECT(child.plan->vectors && child.kick >= 0 && !child.dma);
    child.plan->generation = le32_to_cpu(enable->generation);
    child.plan->stopped = le32_to_cpu(enable->stopped);
    set_dma(!child.plan->stopped && !child.plan->error);
    answer(msg, &reply, sizeof(reply));
}

static void on_request(const Message *msg)
{
    struct rmnic_user_hello_reply hello = {
        .version = cpu_to_le16(child.plan->version ? child.plan->version : RMNIC_USER_VERSION),
        .device_features = cpu_to_le64(~child.plan->lacks & (RMNIC_F_CAPACITY_EV |
                                       RMNIC_F_COALESCE | RMNIC_F_SAME_FILLED)),
        .name = "fake 1.0",
    };
    Plan *plan = child.plan;

    switch (le16_to_cpu(msg->hdr.type)) {
    case RMNIC_USER_HELLO: answer(msg, &hello, sizeof(hello)); break;
    case RMNIC_USER_DEVICE: on_device(msg); break;
    case RMNIC_USER_MEM_ADD: on_mem_add(msg); break;
    case RMNIC_USER_MEM_DEL: on_mem_del(msg); break;
    case RMNIC_USER_KICK: child.kick = dup(msg->fds[0]); answer(msg, NULL, 0); break;
    case RMNIC_USER_CALL: on_call(msg); break;
    case RMNIC_USER_ENABLE: on_enable(msg); break;
    case RMNIC_USER_RESET: set_dma(false); answer(msg, NULL, 0); break;
    case RMNIC_USER_STOP: set_dma(false); answer(msg, NULL, 0); break;
    case RMNIC_USER_START: set_dma(true); answer(msg, NULL, 0); break;
    case RMNIC_USER_CAPACITY:
        plan->capacity = ldq_le_p(msg->payload);
        answer(msg, msg->payload, sizeof(struct rmnic_user_capacity));
        break;
    case RMNIC_USER_STATS: answer(msg, &plan->stats, sizeof(plan->stats)); break;
    case RMNIC_USER_BYE: answer(msg, NULL, 0); break;
    default: EXPECT(false);
    }
}

static bool receive(Message *msg)
{
    union {
        char bytes[CMSG_SPACE(RMNIC_USER_MAX_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { &msg->hdr, sizeof(msg->hdr) };
    struct msghdr mh = {
        .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes),
    };
    uint32_t size;

    msg->nfds = 0;
    if (recvmsg(child.conn, &mh, MSG_WAITALL) != sizeof(msg->hdr)) {
        return false;
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
        if (c->cmsg_type == SCM_RIGHTS) {
            msg->nfds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(msg->fds, CMSG_DATA(c), msg->nfds * sizeof(int));
        }
    }
    size = le32_to_cpu(msg->hdr.size);
    EXPECT(le32_to_cpu(msg->hdr.magic) == RMNIC_USER_MAGIC && size <= sizeof(msg->payload));
    return !size || recv(child.conn, msg->payload, size, MSG_WAITALL) == size;
}

/* False: the connection ended. */
static bool serve(void)
{
    static Message msg;
    uint16_t type;

    if (!receive(&msg)) {
        return false;
    }
    type = le16_to_cpu(msg.hdr.type);
    EXPECT(type > 0 && type < RMNIC_USER_REQUESTS);
    qatomic_fetch_inc(&child.plan->seen[type]);
    if (type == child.plan->stop) {
        raise(SIGSTOP);
    }
    if (type == child.plan->refuse) {
        refuse(&msg);
        if (child.plan->refuse_times && --child.plan->refuse_times == 0) {
            child.plan->refuse = 0;
        }
    } else if (type != child.plan->hang) {
        on_request(&msg);
    }
    for (unsigned i = 0; i < msg.nfds; i++) {
        close(msg.fds[i]);
    }
    return true;
}

/* --- Unasked --------------------------------------------------------------------------------------- */

static uint8_t *guest_byte(uint64_t addr)
{
    for (unsigned i = 0; i < RMNIC_USER_MAX_REGIONS; i++) {
        const struct rmnic_user_region *r = &child.plan->region[i];

        if (r->size && addr >= le64_to_cpu(r->addr) &&
            addr - le64_to_cpu(r->addr) < le64_to_cpu(r->size)) {
            return child.base[i] + (addr - le64_to_cpu(r->addr));
        }
    }
    return NULL;
}

/* Writes guest memory as long as it may: what must have ended when the guest is told so. */
static void *scribbler(void *opaque)
{
    for (;;) {
        uint8_t *at = NULL;

        pthread_mutex_lock(&dma_lock);
        if (child.dma && child.plan->scribble) {
            at = guest_byte(child.plan->scribble);
        }
        if (at) {
            qatomic_inc((uint64_t *)at);
            qatomic_inc(&child.plan->scribbles);
        }
        pthread_mutex_unlock(&dma_lock);
        usleep(at ? 1 : 100);
    }
    return NULL;
}

static void look_at_plan(void)
{
    Plan *plan = child.plan;
    char byte[64];
    uint64_t one = 1;

    if (read(child.wake, byte, sizeof(byte)) == 0) {
        _exit(0);
    }
    if (plan->interrupt && plan->interrupt != child.interrupted) {
        child.interrupted = plan->interrupt;
        EXPECT(write(child.call[plan->interrupt - 1], &one, sizeof(one)) == sizeof(one));
    }
    if (plan->fatal != child.fataled && child.conn >= 0) {
        struct rmnic_user_fatal fatal = { cpu_to_le32(plan->fatal), cpu_to_le32(plan->fatal >> 32) };

        child.fataled = plan->fatal;
        set_dma(false);
        say(RMNIC_USER_FATAL, RMNIC_USER_F_NOTICE, 0, 0, &fatal, sizeof(fatal));
    }
    if (plan->leave != child.left && child.conn >= 0) {
        child.left = plan->leave;
        set_dma(false);
        child.entrusted = false;
        say(RMNIC_USER_LEAVING, RMNIC_USER_F_NOTICE, 0, 0, NULL, 0);
        shutdown(child.conn, SHUT_RDWR);
    }
}

static void connection_ended(void)
{
    close(child.conn);
    child.conn = -1;
    if (child.entrusted && !child.plan->stays && !child.plan->seen[RMNIC_USER_BYE]) {
        _exit(0);
    }
    if (child.plan->lives) {
        return;
    }
    child.entrusted = false;
    set_dma(false);
    memset(child.plan->region, 0, sizeof(child.plan->region));
}

void backend_child(Plan *plan, int listener, int wake)
{
    pthread_t thread;

    child = (struct Child) {
        .plan = plan, .listener = listener, .wake = wake, .conn = -1, .kick = -1,
        .left = plan->leave, .fataled = plan->fatal, .interrupted = plan->interrupt,
    };
    pthread_create(&thread, NULL, scribbler, NULL);
    for (;;) {
        struct pollfd fds[] = {
            { .fd = child.wake, .events = POLLIN },
            { .fd = child.conn >= 0 ? child.conn : child.listener, .events = POLLIN },
            { .fd = child.kick, .events = POLLIN },
        };
        uint64_t n;

        poll(fds, G_N_ELEMENTS(fds), -1);
        if (fds[0].revents) {
            look_at_plan();
        }
        if (fds[2].revents && read(child.kick, &n, sizeof(n)) == sizeof(n)) {
            qatomic_add(&child.plan->kicks, n);
        }
        if (fds[1].revents && child.conn < 0) {
            child.conn = accept4(child.listener, NULL, NULL, SOCK_CLOEXEC);
            qatomic_inc(&child.plan->connections);
        } else if (fds[1].revents && !serve()) {
            connection_ended();
        }
    }
}
